"""Bootstrap intervals of the difference between two methods.

The trainings are resampled in pairs: both methods with the same seed. If single predictions were
kept, or the sums of single images, the test samples or images are resampled too, the same ones for
all methods.

Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, Section 13.3 (percentile
intervals) and Section 10.2 (estimate of bias).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from cals_mm.config import SCALED
from cals_mm.functional import CALIBRATION_VALUES, calibration_statistics, calibration_values
from cals_mm.functional.image_sums import mean_intersection_over_union, resampled_statistics
from cals_mm.methods import REFERENCE

__all__ = [
    "DRAWS",
    "POSITION",
    "Interval",
    "chance_of_a_mark",
    "difference_interval",
    "resampled_image_values",
    "resampled_values",
]

DRAWS = 1000
"""Number of resampled test splits."""
_SEED_DRAWS = 10_000


@dataclass(frozen=True)
class Interval:
    """A difference and its interval.

    Attributes:
        difference: Method minus reference, averaged over the seeds.
        low: Lower end; None if nothing could be resampled.
        high: Upper end.
        over: What was resampled.
        other: Name of the other method.
    """

    difference: float
    low: float | None
    high: float | None
    over: str
    other: str = REFERENCE

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends are on one side of 0."""
        return self.low is not None and self.high is not None and self.low * self.high > 0


def difference_interval(
    method: ArrayLike,
    reference: ArrayLike,
    resampled: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = 0.95,
    name: str = REFERENCE,
    samples: str = "test samples",
) -> Interval:
    """Compute the percentile interval of the mean difference of one figure.

    Args:
        method: Figures of the method for each seed, (S,).
        reference: Figures of the reference for the same seeds, (S,).
        resampled: The same figures on resampled test splits, (D, S) each, with the same samples in
            row d of both. The interval is then shifted to the measured difference, since resampling
            adds noise, and noise alone raises a calibration error.
        level: Share of the draws in the interval.
        name: Name of the reference.
        samples: What was resampled besides seeds.

    Returns:
        The interval; it has no ends for one seed without resampled figures.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> difference_interval([2.0, 3.0, 4.0], [3.0, 3.5, 6.0]).high
        -0.5
    """
    pairs = np.asarray(method, float) - np.asarray(reference, float)
    if pairs.ndim != 1 or not len(pairs):
        raise ValueError(f"figures of both must have one shape (seeds,), got {pairs.shape}")
    measured = float(pairs.mean())
    rng = np.random.default_rng(0)
    picks = rng.integers(len(pairs), size=(_SEED_DRAWS, len(pairs)))
    if resampled is None:
        if len(pairs) == 1:
            return Interval(measured, None, None, "nothing", name)
        low, high = _ends(pairs[picks].mean(1), level)
        return Interval(measured, low, high, "seeds", name)
    draws = np.asarray(resampled[0], float) - np.asarray(resampled[1], float)
    if draws.ndim != 2 or draws.shape[1] != len(pairs):
        raise ValueError(
            f"resampled figures must have the shape (draws, {len(pairs)}), got {draws.shape}"
        )
    rows = rng.integers(len(draws), size=(_SEED_DRAWS, 1))
    means = draws[rows, picks].mean(1)
    low, high = _ends(means - means.mean() + measured, level)
    over = f"seeds and {samples}" if len(pairs) > 1 else samples
    return Interval(measured, low, high, over, name)


def chance_of_a_mark(num_seeds: int) -> float:
    """Probability that an interval over 2 to 5 seeds alone excludes 0 if there is no difference.

    With two or three seeds it does if all differences have the same sign. With four or five it
    depends on how they spread: these are figures of normal differences, by simulation.
    """
    return {2: 0.5, 3: 0.25, 4: 0.19, 5: 0.16}[num_seeds]


def resampled_values(logits: Tensor, target: Tensor, draws: int = DRAWS) -> Tensor:
    """Figures of a run on resampled test splits; draw d has the same samples in all runs.

    Args:
        logits: (N, K).
        target: (N,) int64.
        draws: Number of resampled splits, D.

    Returns:
        (D, len(CALIBRATION_VALUES)) float64, in the order and units of the table.
    """
    indices = _indices(len(target), draws)
    return torch.stack(
        [calibration_values(calibration_statistics(logits[i], target[i])) for i in indices]
    )


def resampled_image_values(
    sums: Mapping[str, Tensor], scaled: Mapping[str, Tensor], draws: int = DRAWS
) -> Tensor:
    """Figures of a run on test splits of resampled images; draw d has the same ones in all runs.

    Args:
        sums: Sums of each image, as ``ImageSumsFile`` writes them.
        scaled: The same after temperature.
        draws: Number of resampled splits, D.

    Returns:
        (D, F) float64, in the order of :data:`POSITION`.
    """
    count = len(sums["bin_count"])
    weights = torch.stack([i.bincount(minlength=count) for i in _indices(count, draws)])
    values = [
        torch.stack([calibration_values(part) for part in resampled_statistics(each, weights)])
        for each in (sums, scaled)
    ]
    miou = 100 * mean_intersection_over_union(sums, weights)
    return torch.cat([*values, miou[:, None]], 1)


def _indices(num_samples: int, draws: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(draws):
        yield torch.randint(num_samples, (num_samples,), generator=generator)


def _ends(draws: np.ndarray, level: float) -> tuple[float, float]:
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


POSITION = {
    f"{prefix}/{name}": index
    for index, (prefix, name) in enumerate(
        (prefix, name) for prefix in ("calibration", SCALED) for name in CALIBRATION_VALUES
    )
}
"""Place of each metric among the resampled figures, before and after scaling."""
POSITION["accuracy/top1"] = POSITION["calibration/accuracy"]
POSITION["mIoU"] = 2 * len(CALIBRATION_VALUES)
