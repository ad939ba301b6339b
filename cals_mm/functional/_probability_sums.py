"""Sums of probabilities over samples in plain torch, on any device, as an operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import first_bin_end
from ._calibration_tiles import LogitSums, sum_tile, tiles_of
from ._library import define_operator
from ._normalisation import arithmetic_dtype

__all__ = ["sum_logits"]


class ProbabilityProblem(NamedTuple):
    """Probabilities to sum. No tensor is modified."""

    logits: Tensor
    """(N, K) or (N, K, ...) with at least one valid sample."""
    target: Tensor
    """Labels (N, ...) in [0, K) where valid."""
    valid: Tensor | None
    """Mask (N, ...) of the valid samples. None means all."""
    num_bins: int
    """Number of equal-width bins."""
    probabilities: bool
    """Whether ``logits`` holds probabilities."""


def sum_logits(
    logits: Tensor, target: Tensor, valid: Tensor | None, num_bins: int, probabilities: bool
) -> LogitSums:
    """Sum probabilities in one pass over the logits.

    Args:
        logits: (N, K) or (N, K, ...) with at least one valid sample.
        target: Labels (N, ...) in [0, K) where valid.
        valid: Mask (N, ...) of the valid samples. None means all.
        num_bins: Number of equal-width bins.
        probabilities: ``logits`` holds probabilities.

    Returns:
        Results for all valid samples, in their order.
    """
    problem = ProbabilityProblem(logits, target, valid, num_bins, probabilities)
    return LogitSums(*PROBABILITY_SUMS(*problem))


def _run(*arguments: Any) -> tuple[Tensor, ...]:
    problem = ProbabilityProblem(*arguments)
    dtype = arithmetic_dtype(problem.logits)
    end = first_bin_end(problem.num_bins, dtype)
    tiles = (
        sum_tile(tile, dtype, problem.num_bins, end, problem.probabilities)
        for tile in tiles_of(problem.logits, problem.target, problem.valid)
    )
    found = [sums for sums in tiles if sums is not None]
    confidence, of_label, *sums = zip(*found, strict=True)
    return torch.cat(confidence), torch.cat(of_label), *map(_add_up, sums)


def _fake(
    logits: Tensor, target: Tensor, valid: Tensor | None, num_bins: int, probabilities: bool
) -> tuple[Tensor, ...]:
    samples = target.numel() if valid is None else torch.library.get_ctx().new_dynamic_size()
    classes, exact = logits.shape[1], torch.float64
    confidence = logits.new_empty(samples, dtype=arithmetic_dtype(logits))
    return (
        confidence,
        torch.empty_like(confidence),
        logits.new_empty(classes, dtype=exact),
        logits.new_empty((), dtype=exact),
        logits.new_empty((classes, num_bins), dtype=torch.int64),
        logits.new_empty((classes, num_bins), dtype=exact),
    )


def _add_up(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total += tensor
    return total


PROBABILITY_SUMS = define_operator(
    "probability_sums(Tensor logits, Tensor target, Tensor? valid, int num_bins,"
    " bool probabilities) -> (Tensor confidence, Tensor of_label, Tensor class_total,"
    " Tensor square_total, Tensor class_count, Tensor class_probability)",
    _run,
    _fake,
)
"""Takes the fields of :class:`ProbabilityProblem`, returns those of :class:`LogitSums`."""
