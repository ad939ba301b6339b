"""The penalty of a chunk and its slope, from scaled distances."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..penalty import penalty_lagrangian

__all__ = ["ChunkPenalty"]


class Penalised(Protocol):
    """The fields of a problem with a penalty."""

    @property
    def logits(self) -> Tensor:
        """(B, K) or (B, K, P), depending on the memory layout of the classes."""

    @property
    def multipliers(self) -> Tensor:
        """(K,) lambda."""

    @property
    def rho(self) -> Tensor:
        """(K,)."""

    @property
    def kind(self) -> str:
        """Penalty function."""


class ChunkPenalty:
    """Sum of the penalties of a chunk, and c P'(h) of each of its logits.

    Args:
        problem: The loss.
        dtype: Of the arithmetic.
        margin: m' = m log2(e) for scaled distances, else m.
        slope_scale: c.
    """

    def __init__(
        self, problem: Penalised, dtype: torch.dtype, margin: float, slope_scale: float | Tensor
    ) -> None:
        self.kind, self.margin = problem.kind, margin
        per_class = (-1,) if problem.logits.ndim == 2 else (-1, 1)
        self.lam = problem.multipliers.to(dtype)
        self.rho = problem.rho.to(dtype)
        # c is folded into the coefficients at no cost, unless it is 0, which would lose the value.
        folds = isinstance(slope_scale, float) and slope_scale != 0
        self.folded = slope_scale if folds else 1.0
        self.remaining = None if folds else slope_scale
        self.cap = (margin * self.lam / self.rho).view(per_class)
        self.gradient = (self.rho * (-self.folded / margin)).view(per_class)

    def __call__(self, u: Tensor, keep: Tensor | None, scratch: Tensor, slope: Tensor) -> Tensor:
        """Sum over the chunk.

        Args:
            u: (B, K[, P]) scaled distances, unchanged.
            keep: (B, 1[, P]) 1 where a sample counts, 0 elsewhere; None: all count.
            scratch: Buffer like ``u``.
            slope: Buffer like ``u`` for c P'(h), 0 for samples that are not valid.
        """
        if self.kind == "phr":
            total = self._phr(u, keep, scratch, slope)
        else:
            torch.div(u, -self.margin, out=scratch).sub_(1)
            value, derivative = penalty_lagrangian(scratch, self.lam, self.rho, self.kind, dim=1)
            total = (value if keep is None else value.mul_(keep)).sum()
            torch.mul(derivative, self.folded, out=slope)
            if keep is not None:
                slope.mul_(keep)
        if self.remaining is not None:
            slope.mul_(self.remaining)
        return total

    def _phr(self, u: Tensor, keep: Tensor | None, q: Tensor, slope: Tensor) -> Tensor:
        # With q = -m' h bounded by the cap m' lambda / rho, where P' becomes 0, both branches are
        # one: P' = (cap - q) rho / m', 0 to the last bit at the cap, and P = -q (lambda + P') / (2
        # m').
        torch.add(u, self.margin, out=q)
        torch.minimum(q, self.cap, out=q)
        if keep is not None:
            q.mul_(keep)
        torch.sub(q, self.cap, out=slope).mul_(self.gradient)
        if keep is not None:
            slope.mul_(keep)
        q_per_class = q.sum(0 if q.ndim == 2 else (0, 2))
        with_lambda = q_per_class.mul_(self.lam).sum()
        # Not torch.dot over the tile, since its rounding depends on the alignment of the buffers.
        with_slope = q.mul_(slope).sum()
        return (with_lambda + with_slope / self.folded) * (-0.5 / self.margin)
