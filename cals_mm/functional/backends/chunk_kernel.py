"""Loss and gradient of one chunk of samples, small enough to stay in the cache throughout.

Everything is computed from the *scaled distance* u = (z - max z) log2(e) <= 0, for which exp(z -
max z) = 2^u, because torch's exp2 is several times faster than its exp. With the scaled margin m' =
m log2(e), the violation is h = -(u + m') / m'.

A logit affects the penalty through its own distance, with derivative -P'(h_k) / m, and, if it is
the largest, through all distances, with derivative sum_j P'(h_j) / m, shared evenly among equal
maxima.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .chunk_entropy import ChunkEntropy
from .chunk_penalty import ChunkPenalty
from .problem import PreparedLoss
from .threads import buffers

__all__ = ["Chunk", "ChunkKernel", "ChunkSums"]


class Chunk(NamedTuple):
    """Views of B samples as (B, K), or of B images of P pixels as (B, K, P)."""

    logits: Tensor
    """(B, K[, P]) in the input's dtype."""
    target: Tensor
    """(B, 1[, P]) int64, or (B, K[, P]) floating."""
    valid: Tensor | None
    """(B, 1[, P]) bool."""
    sample_weight: Tensor | None
    """(B, 1[, P])."""
    gradient: Tensor | None
    """(B, K[, P]) to write to, or None if no gradient is needed."""


class ChunkSums(NamedTuple):
    """Scalars (), not yet scaled."""

    entropy: Tensor
    penalty: Tensor
    violated: Tensor


class ChunkKernel:
    """Computes the chunks of one problem; each thread has its own instance and buffers.

    Args:
        problem: The loss.
        dtype: Dtype of the arithmetic, float32 or float64.
        gradient_unit: Divisor of the gradient.
    """

    def __init__(
        self, problem: PreparedLoss, dtype: torch.dtype, gradient_unit: float | Tensor
    ) -> None:
        self.dtype = dtype
        one = torch.ones((), dtype=dtype)
        self.log2e = float(one * math.log2(math.e))
        # Multiplied in the dtype of u, so that a distance of exactly m is not a violation.
        self.margin = float(one * problem.margin * self.log2e)
        self.on_cpu = problem.logits.device.type == "cpu"
        self.entropy = ChunkEntropy(problem, dtype, problem.entropy_scale / gradient_unit)
        slope_scale = problem.penalty_weight * problem.penalty_scale / problem.margin
        self.penalty = ChunkPenalty(problem, dtype, self.margin, slope_scale / gradient_unit)
        self.shape: torch.Size | None = None

    def __call__(self, chunk: Chunk) -> ChunkSums:
        """Write ``chunk.gradient`` and return the sums."""
        if chunk.valid is None or (self.on_cpu and bool(chunk.valid.all())):
            return self._compute(chunk._replace(valid=None))
        if not self.on_cpu:
            return self._compute(chunk, clean=True)  # reading a value would wait for the device
        # Weight 0 removes ignored samples, unless they contain inf or NaN.
        sums = self._compute(chunk)
        if not math.isfinite(float(sums.entropy + sums.penalty)):
            sums = self._compute(chunk, clean=True)
        return sums

    def _compute(self, chunk: Chunk, *, clean: bool = False) -> ChunkSums:
        self._make_buffers(chunk.logits)
        u, e, column = self.u, self.e, self.column
        logits = chunk.logits if chunk.logits.dtype == self.dtype else e.copy_(chunk.logits)
        keep = None if chunk.valid is None else chunk.valid.to(self.dtype)
        torch.amax(logits, 1, keepdim=True, out=column)
        torch.sub(logits, column, out=u).mul_(self.log2e)
        if clean and chunk.valid is not None:
            u.masked_fill_(~chunk.valid, 0)
        is_violated = torch.lt(u, -self.margin, out=self.q)
        violated = (is_violated if keep is None else is_violated.mul_(keep)).sum()
        torch.exp2(u, out=e)
        torch.sum(e, 1, keepdim=True, out=column)
        penalty = self.penalty(u, keep, self.q, self.slope)
        if chunk.gradient is None:
            entropy = self.entropy(u, column, chunk.target, chunk.sample_weight, keep, self.q, None)
            return ChunkSums(entropy, penalty, violated)
        # e becomes the gradient of the cross entropy, u the mask of the largest logit.
        entropy = self.entropy(u, column, chunk.target, chunk.sample_weight, keep, self.q, e)
        top_slope = torch.sum(self.slope, 1, keepdim=True, out=column)
        e.sub_(self.slope)
        largest = u.eq_(0)
        largest.mul_(top_slope.div_(largest.sum(1, keepdim=True)))
        torch.add(e, largest, out=chunk.gradient)
        return ChunkSums(entropy, penalty, violated)

    def _make_buffers(self, logits: Tensor) -> None:
        if logits.shape != self.shape:
            self.shape = logits.shape
            self.u, self.e, self.q, self.slope = buffers(4, logits, self.dtype)
            self.column = torch.empty_like(self.u[:, :1])
