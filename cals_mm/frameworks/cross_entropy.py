"""Translate mmsegmentation's softmax cross entropy into arguments of ours."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["entropy_arguments", "is_softmax_entropy"]


def is_softmax_entropy(loss: nn.Module) -> bool:
    """Whether a loss is mmsegmentation's own ``CrossEntropyLoss`` over a softmax.

    Subclasses are not accepted, since they may compute anything.
    """
    cls = type(loss)
    known = (cls.__module__, cls.__name__) == (
        "mmseg.models.losses.cross_entropy_loss",
        "CrossEntropyLoss",
    )
    return known and not (loss.use_sigmoid or loss.use_mask) and loss.reduction in ("mean", "sum")


def entropy_arguments(loss: Any, logits: Tensor, target: Tensor) -> dict[str, Any]:
    """Return ``class_weight`` and ``avg_factor`` for which our cross entropy equals a given loss.

    mmsegmentation's mean divides by the number of all pixels, including ignored ones, unless
    ``avg_non_ignore`` is set; with class weights, by their sum over the valid labels.

    Args:
        loss: A loss for which :func:`is_softmax_entropy` is true; its ``loss_weight`` is not
            included.
        logits: (N, K, ...); the weights get their dtype and device.
        target: Labels.
    """
    weights = loss.class_weight
    class_weight = None if weights is None else logits.new_tensor(weights)
    avg_factor: float | None = None
    if loss.reduction == "sum":
        avg_factor = 1.0
    elif class_weight is None and not loss.avg_non_ignore:
        avg_factor = float(target.numel())
    return {"class_weight": class_weight, "avg_factor": avg_factor}
