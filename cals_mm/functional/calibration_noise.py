"""The calibration error that chance alone makes."""

from __future__ import annotations

import torch
from torch import Tensor

from ._calibration_bins import CalibrationStatistics, bin_index

__all__ = ["calibration_error_of_chance"]


def calibration_error_of_chance(statistics: CalibrationStatistics) -> Tensor:
    r"""Expected calibration error of a perfectly calibrated model with the same confidences.

    Even if every prediction is right with exactly the probability that it says, the accuracy of a
    bin differs from its confidence by chance. Over labels drawn with the confidences p,

    .. math:: E[ECE] = \frac1N \sum_b E\Big|\sum_{i \in b} (Y_i - p_i)\Big|, \qquad
              Y_i \sim Bernoulli(p_i)

    The mean deviation of a bin is de Moivre's for n equal probabilities, times the ratio of the
    standard deviations of unequal and equal ones. That is exact for equal confidences in a bin, and
    tends to the normal approximation for many samples.

    It is a floor for samples that are independent, as those of a classifier are. Pixels of an image
    are not: their true noise is far larger.

    Args:
        statistics: Sums of :func:`calibration_statistics`.

    Returns:
        Scalar float64, a fraction in [0, 1], over the same bins as the ECE; NaN without samples.

    Reference:
        de Moivre, Miscellanea Analytica, 1730; see Diaconis and Zabell, Closed Form Summation for
        Classical Distributions, Statistical Science 1991, equation (1.1). Vaicenavicius et al.,
        Evaluating Model Calibration in Classification, AISTATS 2019.

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> statistics = calibration_statistics(
        ...     torch.tensor([[0.75, 0.25]]), torch.tensor([0]), probabilities=True)
        >>> print(f"{calibration_error_of_chance(statistics):.3f}")  # 0.75 * 0.25 + 0.25 * 0.75
        0.375
    """
    count = statistics.bin_count.double()
    mean = (statistics.bin_confidence / count.clamp(min=1)).clamp(0, 1)
    equal = count * mean * (1 - mean)
    ratio = (_variance(statistics) / equal.clamp(min=1e-300)).clamp(max=1).sqrt()
    return (_mean_deviation(count, mean) * ratio).sum() / count.sum()


def _mean_deviation(count: Tensor, probability: Tensor) -> Tensor:
    """Mean absolute deviation of a binomial variable, by de Moivre's formula."""
    mode = ((count * probability).floor() + 1).clamp(max=count)
    binomial = torch.lgamma(count + 1) - torch.lgamma(mode + 1) - torch.lgamma(count - mode + 1)
    logarithm = (
        mode.log()
        + binomial
        + torch.xlogy(mode, probability)
        + torch.xlogy(count - mode + 1, 1 - probability)
    )
    return torch.where(count > 0, 2 * logarithm.exp(), torch.zeros_like(count))


def _variance(statistics: CalibrationStatistics) -> Tensor:
    """Sum of p (1 - p) over the samples of each bin, up to the width of a fine cell."""
    filled = statistics.cell_count > 0
    total = statistics.cell_confidence[filled]
    mean = (total / statistics.cell_count[filled]).clamp(0, 1)
    bins = bin_index(mean, statistics.num_bins)
    result = torch.zeros_like(statistics.bin_confidence)
    return result.index_add_(0, bins, total * (1 - mean))
