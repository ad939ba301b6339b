"""Metrics registered in MMEngine."""

from .calibration_metric import CalibrationMetric
from .long_tail_metric import LongTailMetric
from .prediction_file import PredictionFile

__all__ = ["CalibrationMetric", "LongTailMetric", "PredictionFile"]
