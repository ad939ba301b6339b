"""Sums over samples for the dual step: the problem, and the backends in plain torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..penalty import penalty_lagrangian
from ..violation import margin_violation
from .threads import buffers, run_tiles
from .tiles import dense, split

__all__ = ["DUAL_BACKENDS", "ChunkedDual", "DualProblem", "EagerDual"]

GROUPS = 64
"""Most partial sums of a call; independent of threads, so that results are too."""


class DualProblem(NamedTuple):
    """Sums to compute. No tensor is modified."""

    logits: Tensor
    """(N, K) or (N, K, ...) floating."""
    multipliers: Tensor
    """(K,)."""
    rho: Tensor
    """(K,)."""
    margin: float
    """Largest admissible logit distance."""
    kind: str
    """Penalty function."""
    mask: Tensor | None
    """(N, ...) bool, true for valid samples. None means all."""
    lambda_min: float
    """Lower clip of each derivative."""
    lambda_max: float
    """Upper clip of each derivative."""


class EagerDual:
    """Supports all sums on any device, by their definition."""

    name = "eager"

    def covers(self, problem: DualProblem) -> bool:
        """True."""
        return True

    def run(self, problem: DualProblem) -> tuple[Tensor, Tensor]:
        """Sums of clip(P'(h)) and of h, (K,) float64 (float32 on Metal, which has no float64)."""
        logits = problem.logits
        wide = logits if logits.dtype == torch.float64 else logits.float()
        violation = margin_violation(wide, problem.margin).movedim(1, -1).flatten(0, -2)
        if problem.mask is not None:
            violation = violation[problem.mask.flatten()]
        _, slope = penalty_lagrangian(violation, problem.multipliers, problem.rho, problem.kind)
        exact = torch.float32 if logits.device.type == "mps" else torch.float64
        clipped = slope.clamp_(problem.lambda_min, problem.lambda_max)
        return clipped.sum(0, dtype=exact), violation.sum(0, dtype=exact)


class ChunkedDual:
    """Supports all sums on CPU and CUDA, in tiles that pass through the cache once."""

    name = "chunked"

    def covers(self, problem: DualProblem) -> bool:
        """Whether there is anything to sum."""
        return problem.logits.numel() > 0

    def run(self, problem: DualProblem) -> tuple[Tensor, Tensor]:
        """Sums of clip(P'(h)) and of h, (K,) float64."""
        logits = dense(problem.logits)
        tiles = split(logits, logits)
        masks = [None] * len(tiles) if problem.mask is None else split(problem.mask, logits)
        # Groups of consecutive tiles, so that there are few partial sums even if tiles have few
        # samples.
        size = -(-len(tiles) // GROUPS)
        sums: list[tuple[Tensor, Tensor]] = [(logits, logits)] * -(-len(tiles) // size)

        def make_worker() -> Callable[[int], None]:
            kernel = _DualKernel(problem, tiles[0])

            def worker(number: int) -> None:
                group = slice(number * size, (number + 1) * size)
                parts = [kernel(*item) for item in zip(tiles[group], masks[group], strict=True)]
                slopes, excesses = zip(*parts, strict=True)
                sums[number] = (sum(slopes[1:], slopes[0]), sum(excesses[1:], excesses[0]))

            return worker

        run_tiles(make_worker, len(sums), tiles[0])
        slope, excess = (torch.stack(part).sum(0) for part in zip(*sums, strict=True))
        return slope, excess / problem.margin


class _DualKernel:
    """Computes the sums of a tile; each thread has its own instance and buffers.

    Elements are computed in float32 (float64 for float64 logits), independently of their tile, and
    summed in float64. So the distribution of samples over calls and processes affects only the
    rounding of float64.
    """

    def __init__(self, problem: DualProblem, tile: Tensor) -> None:
        self.dtype = torch.float64 if tile.dtype == torch.float64 else torch.float32
        self.margin, self.kind = problem.margin, problem.kind
        self.bounds = problem.lambda_min, problem.lambda_max
        self.lam = problem.multipliers.to(tile.device, self.dtype)
        self.rho = problem.rho.to(tile.device, self.dtype)
        per_class = (-1,) if tile.ndim == 2 else (-1, 1)
        self.intercept = self.lam.view(per_class)
        self.gradient = (self.rho / self.margin).view(per_class)
        self.samples = 0 if tile.ndim == 2 else (0, 2)

    def __call__(self, tile: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sums over the tile of clip(P'(h)) and of m h, (K,) float64."""
        if mask is None or (tile.device.type == "cpu" and bool(mask.all())):
            return self._sums(tile, None)
        if tile.device.type == "cpu":
            # Weight 0 removes masked samples, unless they contain inf or NaN.
            sums = self._sums(tile, mask)
            if math.isfinite(float((sums[0] + sums[1]).sum())):
                return sums
        return self._sums(tile, mask, clean=True)

    def _sums(
        self, tile: Tensor, mask: Tensor | None, *, clean: bool = False
    ) -> tuple[Tensor, Tensor]:
        excess, slope = buffers(2, tile, self.dtype)
        wide = tile if tile.dtype == self.dtype else slope.copy_(tile)
        torch.sub(wide.amax(1, keepdim=True), wide, out=excess).sub_(self.margin)
        if mask is not None and clean:
            excess.masked_fill_(~mask, 0)
        if self.kind == "phr":
            torch.mul(excess, self.gradient, out=slope).add_(self.intercept)
            slope.clamp_(max(self.bounds[0], 0.0), max(self.bounds[1], 0.0))
        else:
            violation = torch.div(excess, self.margin, out=slope)
            _, slope = penalty_lagrangian(violation, self.lam, self.rho, self.kind, dim=1)
            slope.clamp_(*self.bounds)
        if mask is not None:
            keep = mask.to(self.dtype)
            excess.mul_(keep)
            slope.mul_(keep)
        return (
            slope.sum(self.samples, dtype=torch.float64),
            excess.sum(self.samples, dtype=torch.float64),
        )


DualBackend = ChunkedDual | EagerDual

DUAL_BACKENDS: dict[str, tuple[DualBackend, ...]] = {
    "cpu": (ChunkedDual(), EagerDual()),
    "cuda": (ChunkedDual(), EagerDual()),
}
"""Backends by device type, from fastest to slowest; other device types use only the last."""
