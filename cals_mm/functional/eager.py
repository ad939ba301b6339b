"""The loss as plain tensor algebra: slow, short, and what every faster backend is tested against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .penalty import penalty_lagrangian
from .violation import margin_violation

__all__ = ["eager_cals_loss"]


def eager_cals_loss(
    logits: Tensor,
    target: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: str,
    valid: Tensor | None,
    ignore_index: int,
    class_weight: Tensor | None,
    label_smoothing: float,
    sample_weight: Tensor | None,
    cross_entropy_scale: Tensor,
    penalty_scale: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy, penalty and number of violated constraints, differentiable by autograd.

    Args:
        logits: (N, K, ...) in float32 or float64.
        target: Labels (N, ...) int64, or class probabilities of the shape of ``logits``.
        multipliers: (K,).
        rho: (K,).
        margin: Largest admissible logit distance.
        kind: Penalty function.
        valid: Mask (N, ...) bool of the samples that count, or None for all.
        ignore_index: Label without cross entropy.
        class_weight: (K,) or None.
        label_smoothing: Fraction in [0, 1].
        sample_weight: Weights of the cross entropy (N, ...) or None.
        cross_entropy_scale: Scalar that the sum of the cross entropies is multiplied by.
        penalty_scale: Scalar that the sum of the penalties is multiplied by.

    Returns:
        Scaled cross entropy, scaled penalty, and the count of h > 0 over valid samples and
        classes, three scalars.
    """
    entropy = F.cross_entropy(
        logits,
        target,
        weight=class_weight,
        ignore_index=ignore_index,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    if sample_weight is not None:
        entropy = entropy * sample_weight
    violation = margin_violation(logits, margin)
    penalty, _ = penalty_lagrangian(violation, multipliers, rho, kind, dim=1)
    violated = violation > 0
    if valid is not None:
        # where, not a product: a padded pixel may hold anything, and 0 x inf is not 0.
        penalty = torch.where(valid.unsqueeze(1), penalty, penalty.new_zeros(()))
        violated = violated & valid.unsqueeze(1)
    return entropy.sum() * cross_entropy_scale, penalty.sum() * penalty_scale, violated.sum()
