"""Metrics registered in MMEngine."""

from .calibration_metric import CalibrationMetric
from .long_tail_metric import LongTailMetric

__all__ = ["CalibrationMetric", "LongTailMetric"]
