"""Data sets with a held-out fold for the multipliers, and the synthetic street scenes of the demo.

Nothing is imported here, so that the scene generator does not pull in MMSegmentation. A config
names ``cals_mm.datasets.segmentation`` in its ``custom_imports`` to register the data sets.
"""
