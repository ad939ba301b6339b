"""The Brier score as a loss."""

from __future__ import annotations

from torch import Tensor

__all__ = ["brier_loss"]


def brier_loss(logits: Tensor, target: Tensor) -> Tensor:
    r"""Brier score of each sample, :math:`\sum_k (p_k - y_k)^2`, in [0, 2].

    It is summed over classes, not averaged, like :func:`cals_mm.functional.brier_score`.

    Args:
        logits: (N, K, ...) float32 or float64.
        target: Labels (N, ...) int64 in 0..K-1, or class probabilities of the logits' shape.

    Returns:
        Tensor (N, ...), in the dtype of ``logits``.

    Reference:
        Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review
        78, 1950.

    Example:
        >>> import torch
        >>> brier_loss(torch.zeros(1, 2), torch.tensor([1]))
        tensor([0.5000])
    """
    probability = logits.softmax(1)
    if target.is_floating_point():
        return (probability - target).square().sum(1)
    label = target.unsqueeze(1)
    error = probability.scatter_add(1, label, probability.new_tensor(-1.0).expand(label.shape))
    return error.square().sum(1)
