"""Fold a scaling of the logits into the last layer.

If the last layer computes logits W x + b, then scaled logits w (W x + b) + c are (w W) x + (w b +
c), which the same layer computes with other weights. This still holds when logits are resized or
averaged, as in segmentation models, since both are weighted means. So a model with folded weights
is calibrated everywhere, and does not need this package.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .class_scaling import VectorScaler
from .logit_scaler import LogitScaler

__all__ = ["check_folded", "final_layer", "fold_", "fold_model_", "repeatable"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_TOLERANCE = 1e-4
"""Largest accepted difference between folded and scaled logits, relative to the largest logit."""

ReadLogits = Callable[[], Sequence[Tensor]]
Result = TypeVar("Result")


def repeatable(read: Callable[[], Result], seed: int = 0) -> Callable[[], Result]:
    """Wrap a function so that it uses the same random numbers at every call.

    Some heads draw random numbers even in evaluation mode, e.g. SegNeXt's for its matrix
    decomposition. The state of the generators is restored.
    """

    def read_again() -> Result:
        python, legacy = random.getstate(), np.random.get_state()
        devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            try:
                return read()
            finally:
                random.setstate(python)
                np.random.set_state(legacy)

    return read_again


def final_layer(model: nn.Module, read_logits: ReadLogits) -> str:
    """Find the single layer that computes the model's logits, by trying.

    Each linear or convolutional layer with one output per class is scaled temporarily, with a
    different factor for each class. The layer is the one for which the logits change by exactly
    these factors.

    Args:
        model: The model in evaluation mode, unwrapped; not modified.
        read_logits: Runs the model on a fixed batch and returns the logits of its samples, (K,) or
            (K, H, W) each.

    Returns:
        The name of the layer in ``model.named_modules()``.

    Raises:
        ValueError: If no layer passes, e.g. because the logits are the mean of two layers.
    """
    read_logits = repeatable(read_logits)
    before = [logits.clone() for logits in read_logits()]
    num_classes = len(before[0])
    candidates = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _LAYERS) and len(layer.weight) == num_classes
    }
    # The last layer is usually the right one; those of auxiliary heads usually are not.
    order: list[str] = list(candidates)[::-1]
    order.sort(key=lambda name: name.startswith("auxiliary"))
    for name in order:
        probe = VectorScaler(num_classes)
        probe.weight.copy_(torch.linspace(0.5, 1.5, num_classes))
        if candidates[name].bias is not None:
            largest = max(float(logits.abs().max()) for logits in before)
            probe.bias.copy_(largest * torch.linspace(-0.5, 0.5, num_classes))
        layer = candidates[name]
        with _restored(layer):
            fold_(layer.weight, layer.bias, probe)
            if _difference(read_logits(), before, probe) <= _TOLERANCE:
                return name
    tried = f"tried {', '.join(order)}" if order else f"no layer has {num_classes} outputs"
    raise ValueError(
        "cannot fold a scaling into this model: its logits are not those of one last linear or "
        f"convolutional layer ({tried}); supported are mmsegmentation's heads that end in "
        "conv_seg, mmpretrain's LinearClsHead, StackedLinearClsHead and VisionTransformerClsHead, "
        "and heads of this form"
    )


@torch.no_grad()
def fold_(weight: Tensor, bias: Tensor | None, scaler: LogitScaler) -> None:
    """Modify weight and bias of a layer in place so that its outputs are scaled.

    Args:
        weight: (K, ...) of a linear or convolutional layer with K outputs.
        bias: (K,), or None.
        scaler: The scaling of the outputs.

    Raises:
        ValueError: If the scaling has a bias but the layer has none.
    """
    factor, shift = (part.double().to(weight.device) for part in scaler.linear())
    if bias is not None:
        bias.copy_(bias.double() * factor + shift)
    elif shift.any():
        raise ValueError(
            "the last layer has no bias, which method 'vector' needs; use 'temperature' or 'class'"
        )
    weight.copy_(weight.double() * factor.reshape(-1, *[1] * (weight.ndim - 1)))


def fold_model_(model: nn.Module, layer: str, scaler: LogitScaler, read_logits: ReadLogits) -> None:
    """Fold a scaling into the layer that computes a model's logits, and check the result.

    Args:
        model: The model in evaluation mode, unwrapped.
        layer: Name of the layer, as from :func:`final_layer`.
        scaler: The fitted scaling.
        read_logits: As for :func:`final_layer`.

    Raises:
        ValueError: If the layer needs a bias but has none, or if :func:`check_folded` fails.
    """
    read_logits = repeatable(read_logits)
    before = [logits.clone() for logits in read_logits()]
    last = model.get_submodule(layer)
    fold_(last.weight, last.bias, scaler)  # type: ignore[arg-type]
    check_folded(read_logits, before, scaler)


def check_folded(read_logits: ReadLogits, before: Sequence[Tensor], scaler: LogitScaler) -> None:
    """Check that the logits of a folded model are the scaled ones.

    Args:
        read_logits: As for :func:`final_layer`, for the folded model.
        before: What the :func:`repeatable` function returned before folding.
        scaler: The scaling that was folded.

    Raises:
        ValueError: If the largest difference exceeds 1e-4 of the largest logit.
    """
    difference = _difference(repeatable(read_logits)(), before, scaler)
    if not difference <= _TOLERANCE:
        raise ValueError(
            f"the folded model's logits differ from the scaled ones by {difference:.1e} of the "
            f"largest logit, more than {_TOLERANCE:.0e}; nothing was saved"
        )


def _difference(after: Sequence[Tensor], before: Sequence[Tensor], scaler: LogitScaler) -> float:
    largest = difference = 0.0
    for new, old in zip(after, before, strict=True):
        scaled = scaler(old.double()[None])[0]
        largest = max(largest, float(scaled.abs().max()))
        difference = max(difference, float((new.double() - scaled).abs().max()))
    return difference / largest if largest else difference


@contextmanager
def _restored(layer: nn.Module) -> Iterator[None]:
    """Restore the parameters of a layer after the block."""
    saved = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                parameter.copy_(saved[name])
