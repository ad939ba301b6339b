"""The cross entropy of a chunk and its gradient, from scaled distances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .problem import PreparedLoss

__all__ = ["ChunkEntropy"]


class ChunkEntropy:
    """Sum of the cross entropies of a chunk, and the gradient by its logits.

    Let q_k be the target weights: for a label y, its class weight at y and 0 elsewhere, unless
    label smoothing or target probabilities spread them. Then the cross entropy is -sum_k q_k log
    p_k, and its gradient p_k sum_j q_j - q_k.

    Args:
        problem: The loss.
        dtype: Dtype of the arithmetic.
        gradient_scale: Factor of the gradient.
    """

    def __init__(
        self, problem: PreparedLoss, dtype: torch.dtype, gradient_scale: float | Tensor
    ) -> None:
        self.dtype = dtype
        self.scale = gradient_scale
        self.smoothing = problem.label_smoothing
        self.soft = problem.soft
        self.num_classes = problem.logits.shape[1]
        self.class_weight = problem.class_weight
        self.per_class = (-1,) if problem.logits.ndim == 2 else (-1, 1)
        self.uniform: Tensor | None = None

    def __call__(
        self,
        u: Tensor,
        total: Tensor,
        target: Tensor,
        sample_weight: Tensor | None,
        keep: Tensor | None,
        scratch: Tensor,
        gradient: Tensor | None,
    ) -> Tensor:
        """Sum over the chunk.

        Args:
            u: (B, K[, P]) scaled distances, unchanged.
            total: (B, 1[, P]) sum over classes of 2^u.
            target: (B, 1[, P]) int64, or (B, K[, P]) probabilities.
            sample_weight: (B, 1[, P]) or None.
            keep: (B, 1[, P]), 1 for valid samples, 0 for others. None means that all are valid.
            scratch: Buffer like ``u``.
            gradient: Holds 2^u, and is overwritten by the scaled gradient. None if not needed.
        """
        weight = keep
        if sample_weight is not None:
            weight = sample_weight.to(self.dtype)
            if keep is not None:
                weight = torch.where(keep > 0, weight, 0)
        if keep is not None and not self.soft:
            target = target.clamp(0, self.num_classes - 1)  # ignored labels: any class, weight 0
        if self.soft or self.smoothing > 0:
            return self._spread(u, total, target, weight, scratch, gradient)
        if self.class_weight is not None:
            by_label = self.class_weight[target]
            weight = by_label if weight is None else weight * by_label
        entropy = total.log().sub_(u.gather(1, target), alpha=math.log(2))
        if weight is not None:
            entropy *= weight
        if gradient is not None:
            if weight is None:
                gradient.mul_(self.scale / total)
                gradient.scatter_add_(1, target, self._constant(total))
            else:
                weight = weight * self.scale
                gradient.mul_(weight / total)
                gradient.scatter_add_(1, target, weight.neg_())
        return entropy.sum()

    def _spread(
        self,
        u: Tensor,
        total: Tensor,
        target: Tensor,
        weight: Tensor | None,
        scratch: Tensor,
        gradient: Tensor | None,
    ) -> Tensor:
        if self.soft:
            q = scratch.copy_(target).mul_(1 - self.smoothing)
        else:
            q = scratch.zero_().scatter_(1, target, 1 - self.smoothing)
        q += self.smoothing / self.num_classes
        if self.class_weight is not None:
            q *= self.class_weight.view(self.per_class)
        q_total = q.sum(1, keepdim=True)
        entropy = q_total * total.log() - (q * u).sum(1, keepdim=True) * math.log(2)
        if weight is not None:
            entropy *= weight
        if gradient is not None:
            factor = self.scale if weight is None else weight * self.scale
            gradient.mul_(q_total / total).sub_(q).mul_(factor)
        return entropy.sum()

    def _constant(self, like: Tensor) -> Tensor:
        if self.uniform is None or self.uniform.shape != like.shape:
            self.uniform = torch.zeros_like(like).sub_(self.scale)
        return self.uniform
