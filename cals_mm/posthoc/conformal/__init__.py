"""Conformal prediction: sets of classes, and a confidence threshold, with guarantees."""

from .accepted_errors import AcceptedErrors
from .expected_range import coverage_range
from .prediction_sets import PredictionSets
from .risk_control import RiskThreshold, control_risk
from .scores import Score, conformal_scores

__all__ = [
    "AcceptedErrors",
    "PredictionSets",
    "RiskThreshold",
    "Score",
    "conformal_scores",
    "control_risk",
    "coverage_range",
]
