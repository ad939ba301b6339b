"""Compute losses of resized logits without resizing them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cals_mm.frameworks.cross_entropy import entropy_arguments, is_softmax_entropy
from cals_mm.functional import upsampled_cals_loss
from cals_mm.functional.upsampled import UpsampledLossParts

from .framework_loss import FrameworkLoss, ResizedCall

__all__ = ["can_resize", "parts_of", "resized_loss"]


def can_resize(loss: nn.Module) -> bool:
    """Whether :func:`resized_loss` supports a loss."""
    return (isinstance(loss, FrameworkLoss) and loss.resizes) or is_softmax_entropy(loss)


def resized_loss(loss: Any, call: ResizedCall) -> tuple[Tensor, Tensor]:
    """Compute the loss that the logits would have after resizing.

    Args:
        loss: A loss for which :func:`can_resize` is true.
        call: Logits and labels.

    Returns:
        The loss of the resized logits, and their accuracy in [0, 1]: the share of valid pixels
        whose label has the largest logit.
    """
    if isinstance(loss, FrameworkLoss):
        return loss.resized(call)
    # Zero multipliers switch the penalty off.
    zeros = call.logits.new_zeros(call.logits.shape[1])
    options = entropy_arguments(loss, call.logits, call.target)
    value, parts = parts_of(call, zeros, zeros + 1, 1.0, kind="relu", **options)
    return loss.loss_weight * value, parts.accuracy


def parts_of(
    call: ResizedCall, multipliers: Tensor, rho: Tensor, margin: float, **options: Any
) -> tuple[Tensor, UpsampledLossParts]:
    """Call :func:`~cals_mm.functional.upsampled_cals_loss`, and return its parts too."""
    loss = upsampled_cals_loss(
        call.logits,
        call.target,
        multipliers,
        rho,
        margin,
        align_corners=call.align_corners,
        ignore_index=call.ignore_index,
        return_parts=True,
        **options,
    )
    assert isinstance(loss, tuple)
    return loss
