"""The table of calibration values: name, function, unit and presentation of each.

All code that reports, compares or resamples calibration reads this table, so a new value is one
entry here. It must follow from the sums of one pass over the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from ._calibration_bins import CalibrationStatistics
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
from .selective import area_under_risk_coverage, selective_accuracy

__all__ = ["CALIBRATION_VALUES", "CalibrationValue", "calibration_values"]


@dataclass(frozen=True)
class CalibrationValue:
    """One number that describes how well confidence and correctness agree.

    Attributes:
        name: Name in results and logs. Names of errors must avoid words such as 'acc' and 'top',
            which tell MMEngine's ``CheckpointHook`` that higher values are better.
        function: Computes the value from the sums, as a fraction or in nats.
        meaning: Short explanation of the value.
        unit: With ``'percent'``, the reported value is 100 times that of the function.
        better: ``'higher'``, ``'lower'``, or ``'zero'`` if values closer to 0 are better; None if
            none of these applies.
        heading: Heading of its table column.
        digits: Digits after the decimal point in a table.
        compared: Whether tables that compare methods include it.
    """

    name: str
    function: Callable[[CalibrationStatistics], Tensor]
    meaning: str
    unit: Literal["percent", "nats", "none"]
    better: Literal["higher", "lower", "zero"] | None
    heading: str
    digits: int = 2
    compared: bool = True

    def __call__(self, statistics: CalibrationStatistics) -> Tensor:
        """Scalar float64 in the unit of the value; NaN without samples."""
        value = self.function(statistics)
        return 100 * value if self.unit == "percent" else value


_ENTRIES = (
    CalibrationValue(
        "ECE",
        expected_calibration_error,
        "expected calibration error: by how much confidence and accuracy differ, on average over "
        "bins of equal width of the confidence",
        "percent",
        "lower",
        "ECE %",
    ),
    CalibrationValue(
        "ECE_noise",
        calibration_error_of_chance,
        "the ECE that a perfectly calibrated model with these confidences shows by chance on so "
        "many independent samples: differences below it mean little (pixels are not independent)",
        "percent",
        None,
        "ECE of chance %",
    ),
    CalibrationValue(
        "aECE",
        adaptive_calibration_error,
        "the same over bins that hold equally many samples",
        "percent",
        "lower",
        "adaptive ECE %",
    ),
    CalibrationValue(
        "cwECE",
        classwise_calibration_error,
        "the same of the probability of every class, not of the predicted one alone",
        "percent",
        "lower",
        "classwise ECE %",
    ),
    CalibrationValue(
        "MCE",
        maximum_calibration_error,
        "maximum calibration error: the largest difference of a bin of equal width",
        "percent",
        "lower",
        "MCE %",
        compared=False,
    ),
    CalibrationValue(
        "gap",
        calibration_gap,
        "mean confidence minus accuracy: above 0 the model is over-confident; the sign shows what "
        "the ECE hides",
        "percent",
        "zero",
        "conf − acc %",
    ),
    CalibrationValue(
        "accuracy",
        accuracy,
        "share of samples whose label is predicted",
        "percent",
        "higher",
        "accuracy %",
        compared=False,
    ),
    CalibrationValue(
        "confidence",
        mean_confidence,
        "mean of the largest probability",
        "percent",
        None,
        "confidence %",
        compared=False,
    ),
    CalibrationValue(
        "NLL",
        negative_log_likelihood,
        "negative log likelihood, a proper score: lower only where the probabilities are better, "
        "by accuracy or by calibration",
        "nats",
        "lower",
        "NLL",
        digits=3,
    ),
    CalibrationValue(
        "Brier",
        brier_score,
        "squared distance between probabilities and label, a proper score as well",
        "none",
        "lower",
        "Brier",
        digits=4,
    ),
    CalibrationValue(
        "AURC",
        area_under_risk_coverage,
        "area under the risk-coverage curve: the error among the most confident samples, mean over "
        "all shares of them; low if confidence tells right from wrong",
        "percent",
        "lower",
        "AURC %",
    ),
    *(
        CalibrationValue(
            f"accuracy_{percent}",
            partial(selective_accuracy, coverage=percent / 100),
            f"accuracy of the {percent} % most confident samples",
            "percent",
            "higher",
            f"accuracy@{percent} %",
        )
        for percent in (80, 90, 95)
    ),
)

CALIBRATION_VALUES: Mapping[str, CalibrationValue] = MappingProxyType(
    {value.name: value for value in _ENTRIES}
)
"""All values by name, in the order in which they are reported."""


def calibration_values(statistics: CalibrationStatistics) -> Tensor:
    """Compute all values.

    Args:
        statistics: Sums of :func:`calibration_statistics`.

    Returns:
        (len(CALIBRATION_VALUES),) float64, in the order of :data:`CALIBRATION_VALUES` and in the
        unit of each; NaN without samples.

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]), probabilities=True)
        >>> values = dict(zip(CALIBRATION_VALUES, calibration_values(statistics).tolist()))
        >>> print(f"{values['ECE']:.1f} % {values['NLL']:.3f} nats")
        40.0 % 0.655 nats
    """
    return torch.stack([value(statistics) for value in CALIBRATION_VALUES.values()])
