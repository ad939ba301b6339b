"""Calibration of trained models."""

from .class_scaling import ClassTemperatureScaler, VectorScaler
from .conformal import PredictionSets, RiskThreshold, control_risk, coverage_range
from .folding import check_folded, final_layer, fold_, fold_model_
from .logit_scaler import LogitScaler
from .margin_suggestion import MarginSuggestion, suggest_margin
from .scaling_methods import ScalingMethod, make_scaler
from .temperature import TemperatureScaler

__all__ = [
    "ClassTemperatureScaler",
    "LogitScaler",
    "MarginSuggestion",
    "PredictionSets",
    "RiskThreshold",
    "ScalingMethod",
    "TemperatureScaler",
    "VectorScaler",
    "check_folded",
    "control_risk",
    "coverage_range",
    "final_layer",
    "fold_",
    "fold_model_",
    "make_scaler",
    "suggest_margin",
]
