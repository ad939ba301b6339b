"""State of CALS: multipliers, penalty coefficients and the statistics that move them."""

from .augmented_lagrangian import AugmentedLagrangian
from .dual_statistics import DualStatistics, NonFiniteLogitsError
from .margin import MarginSuggestion, suggest_margin
from .temperature import TemperatureScaler

__all__ = [
    "AugmentedLagrangian",
    "DualStatistics",
    "MarginSuggestion",
    "NonFiniteLogitsError",
    "TemperatureScaler",
    "suggest_margin",
]
