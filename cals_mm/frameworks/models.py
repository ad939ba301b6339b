"""Find the model inside its wrapper, and the label it ignores."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["ignored_label", "unwrap"]


def unwrap(model: nn.Module) -> Any:
    """The model without its data-parallel wrapper, if it has one."""
    # Imported here, as it takes half a second.
    from mmengine.model import is_model_wrapper

    return model.module if is_model_wrapper(model) else model


def ignored_label(model: nn.Module) -> int:
    """Label that the predicting head ignores; -100 if there is none.

    Args:
        model: The model, unwrapped.
    """
    head: Any = getattr(model, "decode_head", None)
    if isinstance(head, nn.ModuleList):  # the last head of a cascade makes the prediction
        head = head[-1]
    ignored = getattr(head, "ignore_index", None)
    return ignored if isinstance(ignored, int) else -100
