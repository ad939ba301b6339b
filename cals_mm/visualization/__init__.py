"""Pictures as uint8 RGB arrays; matplotlib is imported when the first one is drawn."""

from .canvas import png, save_image
from .class_bars import class_error_bars
from .curves import multiplier_curves, state_curves
from .intervals import Difference, difference_intervals
from .reliability import compare_reliability, reliability_diagram

__all__ = [
    "Difference",
    "class_error_bars",
    "compare_reliability",
    "difference_intervals",
    "multiplier_curves",
    "png",
    "reliability_diagram",
    "save_image",
    "state_curves",
]
