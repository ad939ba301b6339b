"""The margin penalty alone: its backends in plain torch, and the choice among all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..penalty import penalty_lagrangian
from ..violation import margin_violation
from .choice import choose
from .chunk_penalty import ChunkPenalty
from .native_penalty import NativePenalty
from .penalty_problem import PenaltyProblem, PenaltySums
from .threads import buffers, run_tiles
from .tiles import dense, split

__all__ = ["PENALTY_BACKENDS", "EagerPenalty", "PenaltyBackend", "choose_penalty"]


class ChunkedPenalty:
    """Supports every penalty on CPU and CUDA, in tiles that pass through the cache once."""

    name = "chunked"

    def covers(self, problem: PenaltyProblem) -> bool:
        """Whether there is anything to compute."""
        return problem.logits.numel() > 0

    def run(
        self, problem: PenaltyProblem, *, with_gradient: bool, scale: float | Tensor
    ) -> tuple[PenaltySums, Tensor | None]:
        """Compute the sums, and the gradient by the logits.

        Args:
            problem: The penalty.
            with_gradient: Whether to compute the gradient.
            scale: Scale of the gradient.

        Returns:
            Sums, and the gradient in the shape, dtype and (where dense) strides of the logits.
        """
        logits = dense(problem.logits)
        gradient = torch.empty_like(logits) if with_gradient else None
        tiles = split(logits, logits)
        masks, gradients = (
            [None] * len(tiles) if part is None else split(part, logits)
            for part in (problem.mask, gradient)
        )
        sums: list[tuple[Tensor, Tensor]] = [(logits, logits)] * len(tiles)

        def make_worker() -> Callable[[int], None]:
            tile = _PenaltyTile(problem._replace(logits=tiles[0]), scale)

            def worker(number: int) -> None:
                sums[number] = tile(tiles[number], masks[number], gradients[number])

            return worker

        run_tiles(make_worker, len(tiles), logits)
        # In float64 and in the order of the tiles, so independent of threads.
        penalty, violated = (
            torch.stack(part).sum(dtype=torch.float64) for part in zip(*sums, strict=True)
        )
        return PenaltySums(penalty, violated), gradient


class _PenaltyTile:
    """Computes tiles; each thread has its own instance."""

    def __init__(self, problem: PenaltyProblem, scale: float | Tensor) -> None:
        wide = problem.logits.dtype == torch.float64
        self.dtype = torch.float64 if wide else torch.float32
        self.margin = float(torch.tensor(problem.margin, dtype=self.dtype))
        self.penalty = ChunkPenalty(problem, self.dtype, self.margin, scale / problem.margin)

    def __call__(
        self, logits: Tensor, mask: Tensor | None, gradient: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        u, scratch, slope = buffers(3, logits, self.dtype)
        wide = logits if logits.dtype == self.dtype else slope.copy_(logits)
        torch.sub(wide, wide.amax(1, keepdim=True), out=u)
        keep = None
        if mask is not None:
            keep = mask.to(self.dtype)
            u.masked_fill_(~mask, 0)
        is_violated = torch.lt(u, -self.margin, out=scratch)
        violated = (is_violated if keep is None else is_violated.mul_(keep)).sum()
        penalty = self.penalty(u, keep, scratch, slope)
        if gradient is not None:
            # The largest logit is part of all distances; equal ones share that gradient.
            largest = u.eq_(0)
            largest.mul_(slope.sum(1, keepdim=True).div_(largest.sum(1, keepdim=True)))
            torch.sub(largest, slope, out=gradient)
        return penalty, violated


class EagerPenalty:
    """Supports every penalty on any device; autograd can differentiate it twice."""

    name = "eager"

    def covers(self, problem: PenaltyProblem) -> bool:
        """True."""
        return True

    def run(
        self,
        problem: PenaltyProblem,
        *,
        with_gradient: bool = False,
        scale: float | Tensor = 1.0,
    ) -> tuple[PenaltySums, None]:
        """Compute the sums; the gradient, with its scale, is left to autograd."""
        logits, mask = problem.logits, problem.mask
        wide = logits if logits.dtype == torch.float64 else logits.float()
        violation = margin_violation(wide, problem.margin)
        penalty, _ = penalty_lagrangian(
            violation, problem.multipliers, problem.rho, problem.kind, dim=1
        )
        violated = violation > 0
        if mask is not None:
            penalty = torch.where(mask.unsqueeze(1), penalty, penalty.new_zeros(()))
            violated = violated & mask.unsqueeze(1)
        return PenaltySums(penalty.sum(), violated.sum()), None


PenaltyBackend = NativePenalty | ChunkedPenalty | EagerPenalty

PENALTY_BACKENDS: dict[str, tuple[PenaltyBackend, ...]] = {
    "cpu": (NativePenalty(), ChunkedPenalty(), EagerPenalty()),
    "cuda": (ChunkedPenalty(), EagerPenalty()),
}
"""Backends by device type, from fastest to slowest; other device types use only the last."""


def choose_penalty(problem: PenaltyProblem) -> PenaltyBackend:
    """Choose the backend for a penalty, see :func:`choose`."""
    device = problem.logits.device
    return choose(PENALTY_BACKENDS.get(device.type, (EagerPenalty(),)), problem, device)
