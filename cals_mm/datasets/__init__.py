"""Data sets with three splits (val is for the multipliers), and the demo's street scenes.

Nothing is imported here, so that the scene generator does not pull in MMSegmentation. A config
lists ``cals_mm.datasets.segmentation`` or ``cals_mm.datasets.classification`` in its
``custom_imports`` to register the data sets.
"""
