"""Let segmentation heads compute their losses before they resize their logits.

A decode head of mmsegmentation computes logits at a fraction of the image's size, resizes them to
the labels, and computes losses and accuracy from the resized tensor, which is many times larger. If
the head does nothing else, and all its losses can be computed without that tensor
(:mod:`cals_mm.losses.resized`), the instance's method ``loss_by_feat`` is replaced by one that
returns the same values under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from cals_mm.losses.framework_loss import ResizedCall
from cals_mm.losses.resized import can_resize, resized_loss

__all__ = ["fuse_heads", "restore_heads"]

METHOD = "loss_by_feat"
RELEASED = ("mmseg.models.decode_heads.decode_head", "BaseDecodeHead.loss_by_feat")
"""Class and method to replace; a head whose class overrides the method is left alone."""


def fuse_heads(model: nn.Module) -> tuple[list[str], list[str]]:
    """Replace ``loss_by_feat`` in all heads that allow it.

    Args:
        model: The model, unwrapped.

    Returns:
        Names of the heads whose losses are computed before resizing, and of the other heads.
    """
    restore_heads(model)
    fused, others = [], []
    for name, head in _heads(model):
        if _allows(head):
            setattr(head, METHOD, partial(_loss_by_feat, head))
            fused.append(name)
        else:
            others.append(name)
    return fused, others


def restore_heads(model: nn.Module) -> None:
    """Undo :func:`fuse_heads`."""
    for _, head in _heads(model):
        own = vars(head).get(METHOD)
        if isinstance(own, partial) and own.func is _loss_by_feat:
            delattr(head, METHOD)


def _heads(model: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        if hasattr(type(module), METHOD) and hasattr(module, "loss_decode"):
            yield name, module


def _allows(head: Any) -> bool:
    method = getattr(type(head), METHOD)
    return (
        (method.__module__, method.__qualname__) == RELEASED
        and METHOD not in vars(head)
        and head.sampler is None
        and head.out_channels > 1
        and head.ignore_index is not None
        and all(can_resize(loss) for loss in _losses(head))
    )


def _losses(head: Any) -> list[nn.Module]:
    losses = head.loss_decode
    return list(losses) if isinstance(losses, nn.ModuleList) else [losses]


def _loss_by_feat(
    head: Any, seg_logits: Tensor, batch_data_samples: list[Any]
) -> dict[str, Tensor]:
    """Losses by name, and the accuracy in percent, as ``BaseDecodeHead`` returns them."""
    losses = _losses(head)
    if not all(can_resize(loss) for loss in losses):  # exchanged while training
        values: dict[str, Tensor] = getattr(type(head), METHOD)(
            head, seg_logits, batch_data_samples
        )
        return values
    target = head._stack_batch_gt(batch_data_samples).squeeze(1)
    call = ResizedCall(seg_logits, target, head.align_corners, head.ignore_index)
    values = {}
    for loss in losses:
        value, accuracy = resized_loss(loss, call)
        name = str(loss.loss_name)
        values[name] = values[name] + value if name in values else value
    values["acc_seg"] = 100 * accuracy.reshape(1)
    return values
