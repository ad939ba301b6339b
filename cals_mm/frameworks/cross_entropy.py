"""What mmsegmentation's softmax cross entropy means, in the arguments of ours."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["entropy_arguments", "is_softmax_entropy"]


def is_softmax_entropy(loss: nn.Module) -> bool:
    """Whether a loss is mmsegmentation's ``CrossEntropyLoss`` over a softmax, as it was released.

    A subclass may compute anything, so it does not count.
    """
    kind = type(loss)
    known = (kind.__module__, kind.__name__) == (
        "mmseg.models.losses.cross_entropy_loss",
        "CrossEntropyLoss",
    )
    return known and not (loss.use_sigmoid or loss.use_mask) and loss.reduction in ("mean", "sum")


def entropy_arguments(loss: Any, logits: Tensor, target: Tensor) -> dict[str, Any]:
    """``class_weight`` and ``avg_factor`` with which our cross entropy is that of a loss.

    mmsegmentation's mean divides by all pixels, the ignored ones too, unless ``avg_non_ignore`` is
    set; with class weights by their sum over the labels that count.

    Args:
        loss: One of which :func:`is_softmax_entropy` holds; its ``loss_weight`` is left out.
        logits: (N, K, ...), whose dtype and device the weights get.
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
