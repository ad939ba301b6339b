"""Sums of probabilities over samples, as an operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import first_bin_end
from ._calibration_tiles import LogitSums, sum_tile, tiles_of, widened
from ._library import define_operator
from ._normalisation import arithmetic_dtype
from .backends.choice import choose
from .backends.installed import has_native
from .backends.native_calibration import native_probability_sums

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


class NativeSums:
    """Compiled kernel for logits on the CPU; half precision is widened a few samples at a time."""

    name = "native"

    def covers(self, problem: ProbabilityProblem) -> bool:
        """Whether the kernel supports the problem."""
        return not problem.probabilities and has_native()

    def run(self, problem: ProbabilityProblem) -> Iterator[LogitSums]:
        """Sums of parts."""
        dtype = arithmetic_dtype(problem.logits)
        end = first_bin_end(problem.num_bins, dtype)
        for piece in widened(*problem[:3], dtype):
            yield LogitSums(*native_probability_sums(*piece, problem.num_bins, end))


class ChunkedSums:
    """Logits or probabilities on any device, in plain torch."""

    name = "chunked"

    def covers(self, problem: ProbabilityProblem) -> bool:
        """True."""
        return True

    def run(self, problem: ProbabilityProblem) -> Iterator[LogitSums]:
        """Sums of parts."""
        dtype = arithmetic_dtype(problem.logits)
        end = first_bin_end(problem.num_bins, dtype)
        for tile in tiles_of(*problem[:3]):
            result = sum_tile(tile, dtype, problem.num_bins, end, problem.probabilities)
            if result is not None:
                yield result


SumsBackend = NativeSums | ChunkedSums

SUMS_BACKENDS: dict[str, tuple[SumsBackend, ...]] = {"cpu": (NativeSums(), ChunkedSums())}
"""Backends by device type, from fastest to slowest; other device types use only the last."""


def _run(*arguments: Any) -> tuple[Tensor, ...]:
    problem = ProbabilityProblem(*arguments)
    device = problem.logits.device
    backend = choose(SUMS_BACKENDS.get(device.type, (ChunkedSums(),)), problem, device)
    confidence, of_label, *sums = zip(*backend.run(problem), strict=True)
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
