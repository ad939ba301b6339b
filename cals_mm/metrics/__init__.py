"""Metrics registered in MMEngine."""

from .calibration_metric import CalibrationMetric
from .class_table import class_table
from .long_tail_metric import LongTailMetric
from .prediction_file import PredictionFile

__all__ = ["CalibrationMetric", "LongTailMetric", "PredictionFile", "class_table"]
