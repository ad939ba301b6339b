"""Data sets in three splits, of which val is for the multipliers, and the demo's street scenes.

Nothing is imported here, so that the scene generator does not pull in MMSegmentation. A config
names ``cals_mm.datasets.segmentation`` in its ``custom_imports`` to register the data sets.
"""
