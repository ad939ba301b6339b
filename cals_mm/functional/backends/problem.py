"""Inputs and outputs of the loss backends."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["LossParts", "LossProblem", "LossSums", "PreparedLoss"]


class LossProblem(NamedTuple):
    """One evaluation of the loss, with shapes checked. No tensor is modified."""

    logits: Tensor
    """(N, K, ...) floating, of any strides."""
    target: Tensor
    """Labels (N, ...) of any integer dtype, or class probabilities of the shape of ``logits``."""
    multipliers: Tensor
    """(K,) lambda."""
    rho: Tensor
    """(K,)."""
    margin: float
    """Largest admissible logit distance."""
    kind: str
    """Penalty function."""
    ignore_index: int | None
    """Label to ignore. None ignores no label."""
    class_weight: Tensor | None
    """(K,)."""
    label_smoothing: float
    """Fraction in [0, 1]."""
    sum_over_classes: bool
    """Whether the penalty is the sum over classes instead of their mean."""
    penalty_weight: float
    """Factor of the penalty in the loss."""
    sample_weight: Tensor | None
    """(N, ...) weights of the cross entropy."""
    avg_factor: Tensor | None
    """() divisor of the summed cross entropy. None means its own mean."""

    @property
    def soft(self) -> bool:
        """Whether the target holds class probabilities."""
        return self.target.is_floating_point()

    @property
    def fusable(self) -> bool:
        """Whether there are samples, and only the logits need a gradient."""
        weight = self.sample_weight
        weighted = weight is not None and weight.requires_grad
        return self.logits.numel() > 0 and not (self.target.requires_grad or weighted)


class PreparedLoss(NamedTuple):
    """A loss with its divisors; all tensors are on the device of the logits."""

    logits: Tensor
    """(N, K, ...) floating, of any strides."""
    target: Tensor
    """Labels (N, ...) int64, or class probabilities of the shape of ``logits``."""
    valid: Tensor | None
    """(N, ...) bool, true for valid samples. None means all, as always for probabilities and for
    backends that use the labels instead."""
    ignore_index: int | None
    """Label to ignore."""
    multipliers: Tensor
    """(K,) lambda."""
    rho: Tensor
    """(K,)."""
    margin: float
    """Largest admissible logit distance."""
    kind: str
    """Penalty function."""
    class_weight: Tensor | None
    """(K,) in the dtype of the arithmetic."""
    label_smoothing: float
    """Fraction in [0, 1]."""
    sample_weight: Tensor | None
    """(N, ...) weights of the cross entropy."""
    entropy_scale: float | Tensor
    """Factor of the sum of the cross entropies: a float or, like the others, a tensor () if reading
    its value would be slow or impossible."""
    penalty_scale: float | Tensor
    """Factor of the sum of the penalties."""
    constraint_share: float | Tensor
    """Share of a single constraint: 1 / (valid samples x classes)."""
    penalty_weight: float
    """Factor of the penalty in the loss."""

    @property
    def soft(self) -> bool:
        """Whether the target holds class probabilities."""
        return self.target.is_floating_point()


class LossSums(NamedTuple):
    """Floats, or tensors () of the arithmetic's dtype or float64 on the device of the logits."""

    entropy: float | Tensor
    """Sum of the cross entropies times ``entropy_scale``."""
    penalty: float | Tensor
    """Sum of the penalties times ``penalty_scale``."""
    violated: float | Tensor
    """Number of violated constraints over valid samples and classes."""


class LossParts(NamedTuple):
    """Parts of a loss value: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged."""
    penalty: Tensor
    """Penalty, averaged, before ``penalty_weight``."""
    violated: Tensor
    """Share of violated constraints (h > 0) over valid samples and classes, in [0, 1]."""
