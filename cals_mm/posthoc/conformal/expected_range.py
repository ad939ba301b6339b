"""The range of coverages that prediction sets may show on a test set by chance."""

from __future__ import annotations

import torch
from torch import Tensor

from .prediction_sets import PredictionSets

__all__ = ["coverage_range"]


def coverage_range(
    sets: PredictionSets, test_counts: Tensor, level: float = 0.95
) -> tuple[float, float]:
    """Compute the central interval of the coverage on a test set.

    For n held-out samples and continuous scores, the coverage of the fitted sets follows a Beta(k,
    n + 1 - k) distribution, where k = ceil((n + 1) coverage) is the rank of the threshold. So the
    number of covered samples among m test samples is beta-binomial. With one threshold per class,
    the numbers of the classes add up. Ties among scores can only raise the coverage.

    Args:
        sets: Fitted sets.
        test_counts: Test samples, () int64, or those of each class, (K,), for ``per_class``.
        level: Probability of the interval.

    Returns:
        Lower and upper end of the interval, as fractions.

    Raises:
        ValueError: If the counts do not fit the sets or add up to 0, or the level is outside (0,
            1).

    Reference:
        Vovk, Conditional Validity of Inductive Conformal Predictors, ACML 2012; Angelopoulos and
        Bates, A Gentle Introduction to Conformal Prediction, 2023 (arXiv 2107.07511), Section 3.2.

    Example:
        >>> sets = PredictionSets(coverage=0.9).fit(torch.randn(99, 5), torch.arange(99) % 5)
        >>> low, high = coverage_range(sets, torch.tensor(1000))
        >>> print(f"{low:.3f} to {high:.3f}")
        0.831 to 0.953
    """
    if test_counts.shape != sets.counts.shape or int(test_counts.sum()) == 0:
        raise ValueError(
            f"need test samples, counted like the held-out ones, {tuple(sets.counts.shape)}, got "
            f"{test_counts.tolist()}"
        )
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    total = int(test_counts.sum())
    # The distribution of a sum is a product of Fourier transforms, long enough not to wrap around.
    spectrum = torch.ones((), dtype=torch.complex128)
    for held_out, test in zip(sets.counts.reshape(-1), test_counts.reshape(-1), strict=True):
        mass = _covered(int(test), int(held_out), sets.rank(int(held_out)))
        spectrum = spectrum * torch.fft.rfft(mass, n=2 * (total + 1))
    cumulative = torch.fft.irfft(spectrum, n=2 * (total + 1))[: total + 1].cumsum(0)
    tail = (1 - level) / 2
    ends = torch.searchsorted(cumulative, torch.tensor([tail, 1 - tail], dtype=torch.float64))
    low, high = ends.clamp(max=total).tolist()
    return low / total, high / total


def _covered(test: int, held_out: int, rank: int) -> Tensor:
    """Probability of 0..test covered samples, (test + 1,) float64: beta-binomial."""
    covered = torch.arange(test + 1, dtype=torch.float64)
    if rank > held_out:  # every set holds all classes
        return (covered == test).double()
    # Number of ways to place test samples below and above the threshold.
    ways = _log_choose(covered + rank - 1, covered)
    rest = test - covered
    ways = ways + _log_choose(rest + held_out - rank, rest)
    return (ways - ways.logsumexp(0)).exp()


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
