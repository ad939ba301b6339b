"""What a validation contributes to the multipliers: sums over its samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .backends.threads import buffers, run_tiles
from .backends.tiles import dense, split
from .penalty import check_penalty, penalty_lagrangian
from .violation import check_margin

__all__ = ["dual_sums"]

GROUPS = 64
"""Partial sums of a call, at most; by the data alone, so that threads do not change the result."""


def dual_sums(
    logits: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: str = "phr",
    mask: Tensor | None = None,
    lambda_min: float = 1e-6,
    lambda_max: float = 1e6,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over samples of the clipped penalty derivative and of the violation.

    Args:
        logits: (N, K) or (N, K, ...) floating.
        multipliers: (K,).
        rho: (K,).
        margin: Largest admissible logit distance, in logit units.
        kind: Penalty function.
        mask: (N, ...) bool of the samples that count; None: all.
        lambda_min: Lower clip of each derivative.
        lambda_max: Upper clip of each derivative.

    Samples outside the mask may hold anything. Logits inside it that are not finite make a sum that
    is not finite either, which is the caller's to check.

    Returns:
        count () int64, sum of clip(P'(h)) (K,) float64, sum of h (K,) float64, on the device of
        ``logits``.

    Example:
        >>> import torch
        >>> count, slope, violation = dual_sums(
        ...     torch.tensor([[3.0, 0.0]]), torch.ones(2), torch.ones(2), margin=1.0)
        >>> int(count), slope[1].item(), violation.tolist()
        (1, 3.0, [-1.0, 2.0])
    """
    check_penalty(kind)
    margin = check_margin(margin)
    logits = dense(logits.detach())
    num_classes = logits.shape[1]
    if logits.numel() == 0:
        nothing = torch.zeros(num_classes, dtype=torch.float64, device=logits.device)
        return torch.zeros((), dtype=torch.int64, device=logits.device), nothing, nothing.clone()
    tiles = split(logits, logits)
    masks = [None] * len(tiles) if mask is None else split(mask, logits)
    # Groups of consecutive tiles, so that the partial sums stay small where a tile has few samples.
    size = -(-len(tiles) // GROUPS)
    sums: list[tuple[Tensor, Tensor]] = [(logits, logits)] * -(-len(tiles) // size)
    make_kernel = partial(
        _DualKernel,
        multipliers.detach(),
        rho.detach(),
        margin,
        kind,
        (lambda_min, lambda_max),
        tiles[0],
    )

    def make_worker() -> Callable[[int], None]:
        kernel = make_kernel()

        def worker(number: int) -> None:
            group = slice(number * size, (number + 1) * size)
            parts = [kernel(*item) for item in zip(tiles[group], masks[group], strict=True)]
            slopes, excesses = zip(*parts, strict=True)
            sums[number] = (sum(slopes[1:], slopes[0]), sum(excesses[1:], excesses[0]))

        return worker

    run_tiles(make_worker, len(sums), tiles[0])
    slope, excess = (torch.stack(part).sum(0) for part in zip(*sums, strict=True))
    samples = logits.numel() // num_classes
    count = torch.tensor(samples, device=logits.device) if mask is None else mask.sum()
    return count, slope, excess / margin


class _DualKernel:
    """Sums of one tile; each thread has its own, with what belongs to it.

    Elements are computed in float32 (float64 for float64), which does not depend on the tile that
    they are in, and summed in float64: how samples are spread over calls and processes changes
    nothing beyond the rounding of float64.
    """

    def __init__(
        self,
        multipliers: Tensor,
        rho: Tensor,
        margin: float,
        kind: str,
        bounds: tuple[float, float],
        tile: Tensor,
    ) -> None:
        self.dtype = torch.float64 if tile.dtype == torch.float64 else torch.float32
        self.margin, self.kind, self.bounds = margin, kind, bounds
        self.lam = multipliers.to(tile.device, self.dtype)
        self.rho = rho.to(tile.device, self.dtype)
        per_class = (-1,) if tile.ndim == 2 else (-1, 1)
        self.intercept = self.lam.view(per_class)
        self.gradient = (self.rho / margin).view(per_class)
        self.samples = 0 if tile.ndim == 2 else (0, 2)

    def __call__(self, tile: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sums over the tile of clip(P'(h)) and of m h, (K,) float64."""
        if mask is None or (tile.device.type == "cpu" and bool(mask.all())):
            return self._sums(tile, None)
        if tile.device.type == "cpu":
            # A weight of 0 hides what masked samples may hold, but for inf and NaN.
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
