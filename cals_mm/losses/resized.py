"""Losses of logits that are resized to the labels, by losses that can do without resized logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cals_mm.frameworks.cross_entropy import entropy_arguments, is_softmax_entropy
from cals_mm.functional import upsampled_cals_loss
from cals_mm.functional.upsampled import UpsampledLossParts

from .framework_loss import FrameworkLoss, ResizedCall

__all__ = ["can_resize", "parts_of", "resized_loss"]


def can_resize(loss: nn.Module) -> bool:
    """Whether :func:`resized_loss` knows a loss: one of ours, or mmsegmentation's softmax one."""
    return (isinstance(loss, FrameworkLoss) and loss.resizes) or is_softmax_entropy(loss)


def resized_loss(loss: Any, call: ResizedCall) -> tuple[Tensor, Tensor]:
    """Loss of logits before resizing.

    Args:
        loss: One of which :func:`can_resize` holds.
        call: Logits and labels.

    Returns:
        What the loss is of the resized logits, and the share of valid pixels whose label has the
        largest of them, in [0, 1].
    """
    if isinstance(loss, FrameworkLoss):
        return loss.resized(call)
    # No penalty: the constraints have multiplier 0.
    zeros = call.logits.new_zeros(call.logits.shape[1])
    options = entropy_arguments(loss, call.logits, call.target)
    value, parts = parts_of(call, zeros, zeros + 1, 1.0, kind="relu", **options)
    return loss.loss_weight * value, parts.accuracy


def parts_of(
    call: ResizedCall, multipliers: Tensor, rho: Tensor, margin: float, **options: Any
) -> tuple[Tensor, UpsampledLossParts]:
    """:func:`~cals_mm.functional.upsampled_cals_loss` of a call, with its parts."""
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
