"""Stateless maths of CALS: torch tensors in, torch tensors out."""

from ._calibration_bins import CalibrationStatistics
from ._calibration_pass import calibration_statistics
from .acls import acls_penalty
from .avuc import accuracy_versus_uncertainty
from .brier import brier_loss
from .calibration import (
    accuracy,
    adaptive_calibration_error,
    brier_score,
    calibration_gap,
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    mean_confidence,
    negative_log_likelihood,
)
from .calibration_noise import calibration_error_of_chance
from .calibration_values import CALIBRATION_VALUES, CalibrationValue, calibration_values
from .cals_loss import LossParts, cals_loss
from .confidence_temperature import confidence_temperature
from .entropy import entropy_penalty_loss
from .focal import focal_loss
from .image_sums import image_sums
from .margin_penalty import margin_penalty
from .mmce import maximum_mean_calibration_error
from .pairwise import binary_discrimination, binary_exclusion
from .penalty import PENALTIES, penalty_lagrangian
from .reliability import (
    ClassCalibration,
    ReliabilityCurve,
    class_calibration,
    reliability_curve,
)
from .selective import (
    RiskCoverage,
    area_under_risk_coverage,
    risk_coverage_curve,
    selective_accuracy,
)
from .upsampled import UpsampledLossParts, upsampled_cals_loss
from .violation import margin_violation

__all__ = [
    "CALIBRATION_VALUES",
    "PENALTIES",
    "CalibrationStatistics",
    "CalibrationValue",
    "ClassCalibration",
    "LossParts",
    "ReliabilityCurve",
    "RiskCoverage",
    "UpsampledLossParts",
    "accuracy",
    "accuracy_versus_uncertainty",
    "acls_penalty",
    "adaptive_calibration_error",
    "area_under_risk_coverage",
    "binary_discrimination",
    "binary_exclusion",
    "brier_loss",
    "brier_score",
    "calibration_error_of_chance",
    "calibration_gap",
    "calibration_statistics",
    "calibration_values",
    "cals_loss",
    "class_calibration",
    "classwise_calibration_error",
    "confidence_temperature",
    "entropy_penalty_loss",
    "expected_calibration_error",
    "focal_loss",
    "image_sums",
    "margin_penalty",
    "margin_violation",
    "maximum_calibration_error",
    "maximum_mean_calibration_error",
    "mean_confidence",
    "negative_log_likelihood",
    "penalty_lagrangian",
    "reliability_curve",
    "risk_coverage_curve",
    "selective_accuracy",
    "upsampled_cals_loss",
]
