"""State of CALS: multipliers, penalty coefficients, their statistics; and scaling of logits."""

from .adaptive_focus import AdaptiveFocus
from .adaptive_margin import AdaptiveMargin, MarginStatistics
from .augmented_lagrangian import AugmentedLagrangian
from .class_scaling import ClassTemperatureScaler, VectorScaler
from .confidence_statistics import ConfidenceStatistics
from .dual_statistics import DualStatistics, NonFiniteLogitsError
from .heuristic_rule import HeuristicRule
from .logit_scaler import LogitScaler
from .margin import MarginSuggestion, suggest_margin
from .margin_rule import MarginRule
from .region_lagrangian import RegionLagrangian, RegionStatistics
from .sample_multipliers import SampleMultipliers, SampleStatistics
from .temperature import TemperatureScaler

__all__ = [
    "AdaptiveFocus",
    "AdaptiveMargin",
    "AugmentedLagrangian",
    "ClassTemperatureScaler",
    "ConfidenceStatistics",
    "DualStatistics",
    "HeuristicRule",
    "LogitScaler",
    "MarginRule",
    "MarginStatistics",
    "MarginSuggestion",
    "NonFiniteLogitsError",
    "RegionLagrangian",
    "RegionStatistics",
    "SampleMultipliers",
    "SampleStatistics",
    "TemperatureScaler",
    "VectorScaler",
    "suggest_margin",
]
