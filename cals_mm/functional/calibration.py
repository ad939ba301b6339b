"""Calibration metrics from the sums of one pass, as float64 fractions in [0, 1]."""

from __future__ import annotations

from typing import Literal, get_args, overload

import torch
from torch import Tensor

from ._calibration_bins import CalibrationStatistics, cell_edges
from ._equal_mass import equal_mass_cuts

__all__ = [
    "accuracy",
    "adaptive_calibration_error",
    "brier_score",
    "calibration_gap",
    "classwise_calibration_error",
    "expected_calibration_error",
    "maximum_calibration_error",
    "mean_confidence",
    "negative_log_likelihood",
]

Norm = Literal["l1", "l2", "max"]
NORMS: tuple[Norm, ...] = get_args(Norm)


def expected_calibration_error(statistics: CalibrationStatistics, norm: Norm = "l1") -> Tensor:
    r"""Expected calibration error over equal-width bins (a, b] of the confidence.

    .. math:: ECE = \sum_b \frac{n_b}{N} |conf_b - acc_b|

    Args:
        statistics: Sums of :func:`calibration_statistics`.
        norm: 'l1' as above; 'l2' for the root of the weighted mean of squares; 'max' for the
            largest difference in a non-empty bin.

    Returns:
        Scalar, a fraction in [0, 1]; NaN without samples, like every metric of this module.

    Raises:
        ValueError: For an unknown norm.

    Reference:
        Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015;
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation (3).

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]), probabilities=True)
        >>> print(f"{expected_calibration_error(statistics):.3f}")
        0.400
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")
    difference = (statistics.bin_confidence - statistics.bin_correct).abs()
    if norm == "l1":
        return _mean(difference.sum(), statistics)
    per_sample = difference / statistics.bin_count.clamp(min=1)
    if norm == "max":
        return per_sample.max() if statistics.count else _mean(difference.sum(), statistics)
    return _mean((difference * per_sample).sum(), statistics).sqrt()


def maximum_calibration_error(statistics: CalibrationStatistics) -> Tensor:
    """Largest difference between confidence and accuracy of a bin (``norm='max'``)."""
    return expected_calibration_error(statistics, norm="max")


@overload
def adaptive_calibration_error(
    statistics: CalibrationStatistics, return_bound: Literal[False] = False
) -> Tensor: ...


@overload
def adaptive_calibration_error(
    statistics: CalibrationStatistics, return_bound: Literal[True]
) -> tuple[Tensor, Tensor]: ...


def adaptive_calibration_error(
    statistics: CalibrationStatistics, return_bound: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    r"""Expected calibration error over bins of equally many samples.

    There are as many bins as equal-width ones; bin j ends at the sample of rank floor(j N / bins) +
    1 in order of confidence. The order is known up to the cells of a fine grid (1024 per octave of
    1 - confidence), and a cell that contains an edge is divided in proportion. Let such a cell have
    n samples, width w, summed difference D of confidence and correctness, and share f below the
    edge. Then, in any order of its samples and with any ties, the result differs from that of
    sorted samples by at most

    .. math:: \frac2N \sum_{edges} (1 - f)|D| + n q (1 + w),
              \qquad q = \max_{f \le g \le 1} g (1 - g)

    which is zero if each of these cells holds one sample.

    Args:
        statistics: Sums of :func:`calibration_statistics`.
        return_bound: Also return this bound for the given data.

    Returns:
        Scalar, a fraction in [0, 1], or the scalar and its error bound.

    Reference:
        Nguyen and O'Connor, Posterior Calibration and Exploratory Analysis for Natural Language
        Processing Models, EMNLP 2015.

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([0, 0]), probabilities=True)
        >>> print(f"{adaptive_calibration_error(statistics):.3f}")
        0.400
    """
    # Ascending confidence.
    difference = (statistics.cell_confidence - statistics.cell_correct).flip(0)
    if not statistics.count:
        empty = _mean(difference.sum(), statistics)
        return (empty, empty) if return_bound else empty
    total, bins = statistics.count, statistics.num_bins
    rank = torch.arange(1, bins, device=difference.device) * total // bins + 1
    cuts = equal_mass_cuts(statistics.cell_count.flip(0), rank.clamp_(max=total))
    error = _mean(cuts.sums(difference).diff().abs().sum(), statistics)
    if not return_bound:
        return error
    width = cell_edges().diff().flip(0).to(cuts.cell.device)[cuts.cell]
    spread = cuts.share.clamp(min=0.5)
    slack = ((1 - cuts.share) * difference[cuts.cell]).abs()
    slack += cuts.inside * spread * (1 - spread) * (1 + width)
    return error, _mean(2 * slack.sum(), statistics)


def classwise_calibration_error(
    statistics: CalibrationStatistics, reduction: Literal["mean", "none"] = "mean"
) -> Tensor:
    r"""Calibration error of each class's probability with respect to the frequency of the class.

    .. math:: cwECE = \frac1K \sum_k \sum_b \frac{n_{kb}}{N} |\bar p_{kb} - \bar y_{kb}|

    The mean is over all K classes, including those without samples, whose probability is wrong
    wherever it is not zero.

    Args:
        statistics: Sums of :func:`calibration_statistics`.
        reduction: 'mean', or 'none' for one value per class.

    Returns:
        Scalar or (K,), fractions in [0, 1].

    Raises:
        ValueError: For an unknown reduction.

    Reference:
        Kull et al., Beyond Temperature Scaling, NeurIPS 2019, equation (4).
    """
    if reduction not in ("mean", "none"):
        raise ValueError(f"reduction must be 'mean' or 'none', got {reduction!r}")
    difference = (statistics.class_probability - statistics.class_positive).abs().sum(1)
    error = _mean(difference, statistics)
    return error.mean() if reduction == "mean" else error


def negative_log_likelihood(statistics: CalibrationStatistics) -> Tensor:
    """Mean of -log p(label), in nats."""
    return _mean(statistics.negative_log_likelihood, statistics)


def brier_score(statistics: CalibrationStatistics) -> Tensor:
    """Mean over samples of the sum over classes of (p - one-hot label)^2, in [0, 2]."""
    return _mean(statistics.brier, statistics)


def accuracy(statistics: CalibrationStatistics) -> Tensor:
    """Share of samples whose label has the largest logit, the first of equal ones."""
    return _mean(statistics.bin_correct.sum(), statistics)


def mean_confidence(statistics: CalibrationStatistics) -> Tensor:
    """Mean of the largest probability."""
    return _mean(statistics.bin_confidence.sum(), statistics)


def calibration_gap(statistics: CalibrationStatistics) -> Tensor:
    """Mean confidence minus accuracy, signed: > 0 is over-confident, < 0 under-confident."""
    return mean_confidence(statistics) - accuracy(statistics)


def _mean(total: Tensor, statistics: CalibrationStatistics) -> Tensor:
    return total.double() / statistics.bin_count.sum()
