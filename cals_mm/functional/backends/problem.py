"""What a backend gets and gives: one loss to compute, with everything checked and normalised."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["LossParts", "LossProblem", "LossSums"]


class LossProblem(NamedTuple):
    """One evaluation of the loss. Tensors lie on one device; none is changed."""

    logits: Tensor
    """(N, K, ...) floating, of any strides."""
    target: Tensor
    """Labels (N, ...) int64, or class probabilities of the shape of ``logits``."""
    valid: Tensor | None
    """(N, ...) bool of the samples that count. None: all; always so for probabilities, and where
    the backend goes by the labels."""
    ignore_index: int | None
    """Label of the samples that do not count."""
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
    """What the sum of the cross entropies is multiplied by; like the others a float on the CPU,
    () elsewhere."""
    penalty_scale: float | Tensor
    """What the sum of the penalties is multiplied by."""
    constraint_share: float | Tensor
    """One constraint's share of all: 1 / (valid samples x classes)."""
    penalty_weight: float
    """Factor of the penalty in the loss."""

    @property
    def soft(self) -> bool:
        """Whether the target holds class probabilities."""
        return self.target.is_floating_point()


class LossSums(NamedTuple):
    """Scalars () of the arithmetic's dtype or float64, on the device of the logits."""

    entropy: Tensor
    """Sum of the cross entropies times ``entropy_scale``."""
    penalty: Tensor
    """Sum of the penalties times ``penalty_scale``."""
    violated: Tensor
    """Number of violated constraints over valid samples and classes."""


class LossParts(NamedTuple):
    """What a loss value is made of: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged."""
    penalty: Tensor
    """Penalty, averaged, before ``penalty_weight``."""
    violated: Tensor
    """Share of violated constraints (h > 0) over valid samples and classes, in [0, 1]."""
