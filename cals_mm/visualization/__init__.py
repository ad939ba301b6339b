"""Figures as uint8 RGB arrays; matplotlib is imported when the first one is drawn."""

from .canvas import png, save_image
from .class_bars import class_error_bars
from .class_reliability import class_reliability
from .curves import state_curves
from .frequency import calibration_by_frequency
from .intervals import Difference, difference_intervals
from .maps import confidence_maps
from .overlay import class_key, overlay
from .reliability import compare_reliability, reliability_diagram
from .risk_coverage import risk_coverage

__all__ = [
    "Difference",
    "calibration_by_frequency",
    "class_error_bars",
    "class_key",
    "class_reliability",
    "compare_reliability",
    "confidence_maps",
    "difference_intervals",
    "overlay",
    "png",
    "reliability_diagram",
    "risk_coverage",
    "save_image",
    "state_curves",
]
