"""State that is learned from validations, such as multipliers, and the statistics for it."""

# Also exported here, where they are documented as public names.
from cals_mm.posthoc import (
    ClassTemperatureScaler,
    LogitScaler,
    MarginSuggestion,
    TemperatureScaler,
    VectorScaler,
    suggest_margin,
)

from .adaptive_focus import AdaptiveFocus
from .augmented_lagrangian import AugmentedLagrangian
from .auto_margin import AutoMargin
from .calibration_meter import CalibrationMeter
from .confidence_statistics import ConfidenceStatistics
from .dual_statistics import DualStatistics, NonFiniteLogitsError
from .held_out_confidence import AutoMarginStatistics, HeldOutConfidence
from .held_out_sample import HeldOutSample
from .heuristic_rule import HeuristicRule
from .learned_state import LearnedState, ValidationStatistics
from .margin_rule import MarginRule
from .region_lagrangian import RegionLagrangian, RegionStatistics
from .sample_multipliers import SampleMultipliers, SampleStatistics
from .shared_pass import SharedPass
from .uncertainty_threshold import UncertaintyStatistics, UncertaintyThreshold

__all__ = [
    "AdaptiveFocus",
    "AugmentedLagrangian",
    "AutoMargin",
    "AutoMarginStatistics",
    "CalibrationMeter",
    "ClassTemperatureScaler",
    "ConfidenceStatistics",
    "DualStatistics",
    "HeldOutConfidence",
    "HeldOutSample",
    "HeuristicRule",
    "LearnedState",
    "LogitScaler",
    "MarginRule",
    "MarginSuggestion",
    "NonFiniteLogitsError",
    "RegionLagrangian",
    "RegionStatistics",
    "SampleMultipliers",
    "SampleStatistics",
    "SharedPass",
    "TemperatureScaler",
    "UncertaintyStatistics",
    "UncertaintyThreshold",
    "ValidationStatistics",
    "VectorScaler",
    "suggest_margin",
]
