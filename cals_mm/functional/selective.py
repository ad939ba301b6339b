"""How useful confidence is for telling right from wrong predictions, from the sums of one pass."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import CalibrationStatistics
from ._equal_mass import equal_mass_cuts

__all__ = [
    "RiskCoverage",
    "area_under_risk_coverage",
    "risk_coverage_curve",
    "selective_accuracy",
]


class RiskCoverage(NamedTuple):
    """Error of the most confident samples, in ascending order of their share."""

    coverage: Tensor
    """Share of the samples that are accepted, (C,) float64 in (0, 1]."""
    risk: Tensor
    """Share of wrong predictions among them, (C,) float64."""


def risk_coverage_curve(statistics: CalibrationStatistics) -> RiskCoverage:
    """Error of the accepted samples, for every threshold of confidence between two cells.

    Args:
        statistics: Sums of :func:`calibration_statistics`.

    Returns:
        One point for each cell of the fine grid of confidence that holds samples.

    Reference:
        Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017.
    """
    count, wrong = _descending(statistics)
    accepted = count.cumsum(0)
    return RiskCoverage(accepted / statistics.count, wrong.cumsum(0) / accepted)


def area_under_risk_coverage(statistics: CalibrationStatistics) -> Tensor:
    r"""Area under the risk-coverage curve (AURC): error among the i most confident, mean over i.

    .. math:: AURC = \frac1N \sum_{i=1}^N \frac{\#\{wrong\ among\ the\ i\ most\ confident\}}{i}

    A good ranking has a low AURC, whatever the scale of its confidence; it falls with accuracy too.
    Samples are ordered up to the cells of the fine grid (1024 per octave of 1 - confidence). Those
    of one cell, and ties, count as in random order: the expected value over all orders.

    Args:
        statistics: Sums of :func:`calibration_statistics`.

    Returns:
        Scalar float64, a fraction in [0, 1]; NaN without samples.

    Reference:
        Geifman, Uziel and El-Yaniv, Bias-Reduced Uncertainty Estimation for Deep Neural
        Classifiers, ICLR 2019.

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]), probabilities=True)
        >>> print(f"{area_under_risk_coverage(statistics):.2f}")  # (0 / 1 + 1 / 2) / 2
        0.25
    """
    count, wrong = _descending(statistics)
    before = count.cumsum(0) - count
    wrong_before = wrong.cumsum(0) - wrong
    share = wrong / count
    # The sum over j = 1..n of (E + j e / n) / (B + j), by harmonic numbers.
    harmonic = torch.digamma(before + count + 1) - torch.digamma(before + 1)
    total = (wrong + (wrong_before - share * before) * harmonic).sum()
    return total / statistics.bin_count.sum()


def selective_accuracy(statistics: CalibrationStatistics, coverage: float) -> Tensor:
    """Accuracy of the most confident samples, at least a share ``coverage`` of all.

    The least confident of the accepted may share a cell of the fine grid with rejected samples; the
    cell is then divided in proportion.

    Args:
        statistics: Sums of :func:`calibration_statistics`.
        coverage: Share of the samples to accept, in (0, 1].

    Returns:
        Scalar float64, a fraction in [0, 1]; NaN without samples.

    Raises:
        ValueError: If the coverage is out of range.

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]), probabilities=True)
        >>> print(f"{selective_accuracy(statistics, 0.5):.1f}")
        1.0
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage must be a share in (0, 1], got {coverage}")
    correct = statistics.cell_correct.double()
    if not statistics.count:
        return correct.sum() / 0
    # 0.9 times 10 is 9, not the next float.
    rank = math.ceil(coverage * statistics.count * (1 - 1e-12))
    cuts = equal_mass_cuts(statistics.cell_count, torch.tensor([rank], device=correct.device))
    return cuts.sums(correct)[1] / rank


def _descending(statistics: CalibrationStatistics) -> tuple[Tensor, Tensor]:
    """Samples and wrong ones of each cell that holds any, the most confident first, float64."""
    filled = statistics.cell_count > 0
    count = statistics.cell_count[filled].double()
    return count, count - statistics.cell_correct[filled]
