"""All sums over predictions that a validation needs, in one pass over the logits where compiled."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import NUM_CELLS, CalibrationStatistics
from ._calibration_tiles import widened
from ._library import define_operator
from ._normalisation import arithmetic_dtype
from .backends.choice import may_choose
from .backends.dual import DualProblem
from .backends.installed import has_native
from .backends.native_calibration import native_prediction_sums

__all__ = ["DualSums", "PredictionSums", "prediction_sums"]

_EMPTY = torch.zeros(0)
_NO_DUAL = DualProblem(_EMPTY, _EMPTY, _EMPTY, 1.0, "phr", None, 0.0, 0.0)


class DualSums(NamedTuple):
    """Sums for the dual step, as of :func:`~cals_mm.functional._dual.dual_sums`."""

    samples: Tensor
    """Their number, () int64."""
    derivative: Tensor
    """Sum of the clipped derivative of the penalty, (K,) float64."""
    violation: Tensor
    """Sum of the violation, (K,) float64; not finite if a logit is not."""


class PredictionSums(NamedTuple):
    """All sums over a batch."""

    statistics: CalibrationStatistics
    dual: DualSums


def prediction_sums(
    logits: Tensor,
    target: Tensor,
    ignore_index: int | None,
    num_bins: int,
    dual: DualProblem | None = None,
) -> PredictionSums | None:
    """Compute calibration and dual sums in one pass.

    Args:
        logits: (N, K) or (N, K, ...) floating.
        target: Labels (N, ...), on the device of the logits.
        ignore_index: Label of the samples to ignore. None ignores no label.
        num_bins: Number of equal-width bins.
        dual: Multipliers and the like; its logits and mask are not used. None: the dual sums are 0.

    Returns:
        The sums; None if the compiled kernel is not there, does not support them, or has met a
        label that is no class.
    """
    if not _covered(logits, dual):
        return None
    dual = dual or _NO_DUAL
    counts, sums, per_class, strange = PREDICTION_SUMS(
        logits, target, ignore_index, num_bins, *dual[1:5], *dual[6:]
    )
    if strange:
        return None
    statistics = CalibrationStatistics.zeros(logits.shape[1], num_bins).unpack_(counts, sums)
    _fill_first_bins(statistics, per_class[0])
    violation = per_class[2] / dual.margin
    if statistics.nonfinite:
        violation.fill_(torch.nan)
    return PredictionSums(statistics, DualSums(statistics.bin_count.sum(), per_class[1], violation))


def _covered(logits: Tensor, dual: DualProblem | None) -> bool:
    return (
        may_choose("native", logits.device)
        and logits.device.type == "cpu"
        and logits.numel() > 0
        and (dual is None or dual.kind in ("phr", "relu"))
        and has_native()
    )


def _run(
    logits: Tensor,
    target: Tensor,
    ignore_index: int | None,
    num_bins: int,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    kind: str,
    lambda_min: float,
    lambda_max: float,
) -> tuple[Tensor, ...]:
    dual = DualProblem(logits, multipliers, rho, margin, kind, None, lambda_min, lambda_max)
    parts = [
        native_prediction_sums(part, labels, ignore_index, num_bins, dual)
        for part, labels, _ in widened(logits.detach(), target, None, arithmetic_dtype(logits))
    ]
    return tuple(torch.stack(tensors).sum(0) for tensors in zip(*parts, strict=True))


def _fake(
    logits: Tensor, target: Tensor, ignore_index: int | None, num_bins: int, *dual: object
) -> tuple[Tensor, ...]:
    classes, both = logits.shape[1], num_bins + NUM_CELLS
    sums = logits.new_empty(both + classes * num_bins + 2, dtype=torch.float64)
    counts = torch.empty_like(sums, dtype=torch.int64)
    counts = counts.new_empty(2 * both + classes * (2 * num_bins + 1) + 1)
    return counts, sums, sums.new_empty(3, classes), counts.new_empty(())


PREDICTION_SUMS = define_operator(
    "prediction_sums(Tensor logits, Tensor target, int? ignore_index, int num_bins,"
    " Tensor multipliers, Tensor rho, float margin, str kind, float lambda_min, float lambda_max)"
    " -> (Tensor counts, Tensor sums, Tensor per_class, Tensor strange)",
    _run,
    _fake,
)
"""The compiled pass; results as of :func:`native_prediction_sums`, the last a number of parts."""


def _fill_first_bins(statistics: CalibrationStatistics, total: Tensor) -> None:
    """What lies in no other bin lies in the first one of a class's probability."""
    counts, sums = statistics.class_count, statistics.class_probability
    counts[:, 0] = statistics.bin_count.sum() - counts.sum(1)
    # Rounding of the difference must not make a sum of probabilities negative.
    sums[:, 0] = (total - sums.sum(1)).clamp_(min=0)
