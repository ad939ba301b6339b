"""State of CALS: multipliers, penalty coefficients, their statistics; and scaling of logits."""

from .adaptive_focus import AdaptiveFocus
from .augmented_lagrangian import AugmentedLagrangian
from .class_scaling import ClassTemperatureScaler, VectorScaler
from .confidence_statistics import ConfidenceStatistics
from .dual_statistics import DualStatistics, NonFiniteLogitsError
from .logit_scaler import LogitScaler
from .margin import MarginSuggestion, suggest_margin
from .region_lagrangian import RegionLagrangian, RegionStatistics
from .temperature import TemperatureScaler

__all__ = [
    "AdaptiveFocus",
    "AugmentedLagrangian",
    "ClassTemperatureScaler",
    "ConfidenceStatistics",
    "DualStatistics",
    "LogitScaler",
    "MarginSuggestion",
    "NonFiniteLogitsError",
    "RegionLagrangian",
    "RegionStatistics",
    "TemperatureScaler",
    "VectorScaler",
    "suggest_margin",
]
