"""Pictures as uint8 RGB arrays; matplotlib is imported when the first one is drawn."""

from .canvas import save_image
from .curves import multiplier_curves, state_curves
from .reliability import compare_reliability, reliability_diagram

__all__ = [
    "compare_reliability",
    "multiplier_curves",
    "reliability_diagram",
    "save_image",
    "state_curves",
]
