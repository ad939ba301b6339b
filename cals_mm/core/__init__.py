"""State of CALS: multipliers, penalty coefficients, their statistics; and scaling of logits."""

from .augmented_lagrangian import AugmentedLagrangian
from .class_scaling import ClassTemperatureScaler, VectorScaler
from .dual_statistics import DualStatistics, NonFiniteLogitsError
from .logit_scaler import LogitScaler
from .margin import MarginSuggestion, suggest_margin
from .temperature import TemperatureScaler

__all__ = [
    "AugmentedLagrangian",
    "ClassTemperatureScaler",
    "DualStatistics",
    "LogitScaler",
    "MarginSuggestion",
    "NonFiniteLogitsError",
    "TemperatureScaler",
    "VectorScaler",
    "suggest_margin",
]
