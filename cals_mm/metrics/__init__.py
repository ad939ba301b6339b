"""Metrics registered in MMEngine."""

from .calibration_metric import CalibrationMetric
from .class_table import class_table
from .image_sums_file import ImageSumsFile
from .long_tail_metric import LongTailMetric
from .prediction_file import PredictionFile

__all__ = [
    "CalibrationMetric",
    "ImageSumsFile",
    "LongTailMetric",
    "PredictionFile",
    "class_table",
]
