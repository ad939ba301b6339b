"""The model inside its wrapper, and the label that it ignores."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["ignored_label", "unwrap"]


def unwrap(model: nn.Module) -> Any:
    """The model without its data-parallel wrapper; itself where it has none."""
    # Half a second to import, which `import cals_mm` shall not take.
    from mmengine.model import is_model_wrapper

    return model.module if is_model_wrapper(model) else model


def ignored_label(model: nn.Module) -> int:
    """Label of the pixels that count for nothing: the predicting head's, or -100 without one.

    Args:
        model: The model, unwrapped.
    """
    head: Any = getattr(model, "decode_head", None)
    if isinstance(head, nn.ModuleList):  # the last head of a cascade predicts
        head = head[-1]
    ignored = getattr(head, "ignore_index", None)
    return ignored if isinstance(ignored, int) else -100
