"""State of CALS: multipliers, penalty coefficients, their statistics; and scaling of logits."""

# Part of this room's names for those who know them from here.
from cals_mm.posthoc import (
    ClassTemperatureScaler,
    LogitScaler,
    MarginSuggestion,
    TemperatureScaler,
    VectorScaler,
    suggest_margin,
)

from .adaptive_focus import AdaptiveFocus
from .adaptive_margin import AdaptiveMargin, MarginStatistics
from .augmented_lagrangian import AugmentedLagrangian
from .calibration_meter import CalibrationMeter
from .confidence_statistics import ConfidenceStatistics
from .dual_statistics import DualStatistics, NonFiniteLogitsError
from .heuristic_rule import HeuristicRule
from .learned_state import LearnedState, ValidationStatistics
from .margin_rule import MarginRule
from .region_lagrangian import RegionLagrangian, RegionStatistics
from .sample_multipliers import SampleMultipliers, SampleStatistics

__all__ = [
    "AdaptiveFocus",
    "AdaptiveMargin",
    "AugmentedLagrangian",
    "CalibrationMeter",
    "ClassTemperatureScaler",
    "ConfidenceStatistics",
    "DualStatistics",
    "HeuristicRule",
    "LearnedState",
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
    "ValidationStatistics",
    "VectorScaler",
    "suggest_margin",
]
