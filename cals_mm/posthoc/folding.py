"""Fold a scaling of the logits into the layer that makes them.

Where logits are W x + b of a last layer, scaled logits w (W x + b) + c are (w W) x + (w b + c) of
the same layer with other weights. Resizing and averaging logits, as segmentation models do, keeps
this: both are weighted means. So a model with folded weights is calibrated wherever it runs, and
needs none of this package.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from .class_scaling import VectorScaler
from .logit_scaler import LogitScaler

__all__ = ["check_folded", "final_layer", "fold_", "fold_model_", "repeatable"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_TOLERANCE = 1e-4
"""Largest difference of folded from scaled logits, relative to the largest logit."""

ReadLogits = Callable[[], Sequence[Tensor]]


def repeatable(read_logits: ReadLogits) -> ReadLogits:
    """The same, with the same random numbers at every call.

    Some heads draw some in evaluation, SegNeXt's for the bases of its matrix decomposition. The
    generators are left as they were.
    """

    def read() -> Sequence[Tensor]:
        python, legacy = random.getstate(), np.random.get_state()
        devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(0)
            random.seed(0)
            np.random.seed(0)
            try:
                return read_logits()
            finally:
                random.setstate(python)
                np.random.set_state(legacy)

    return read


def final_layer(model: nn.Module, read_logits: ReadLogits) -> str:
    """Name of the layer that alone makes the model's logits, found by trying.

    Each linear or convolutional layer with one output per class is scaled temporarily, by another
    number for each class; the layer is found where the logits change by exactly these numbers.

    Args:
        model: The model in evaluation mode, unwrapped; left as it was.
        read_logits: Runs the model on one and the same batch and returns the logits of its
            samples, (K,) or (K, H, W) each.

    Returns:
        Its name among ``model.named_modules()``.

    Raises:
        ValueError: If no layer passes, for instance where the logits are the mean of two layers.
    """
    read_logits = repeatable(read_logits)
    before = [logits.clone() for logits in read_logits()]
    num_classes = len(before[0])
    candidates = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _LAYERS) and len(layer.weight) == num_classes
    }
    # The last one defined is most often the right one, and auxiliary heads are most often wrong.
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
    """Change a layer's weight and bias so that its outputs are the scaled ones, in place.

    Args:
        weight: (K, ...) of a linear or convolutional layer with K outputs.
        bias: (K,), or None.
        scaler: The scaling of its outputs.

    Raises:
        ValueError: If the scaling has a bias and the layer none.
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
    """Fold a scaling into the layer that makes a model's logits, and check the result.

    Args:
        model: The model in evaluation mode, unwrapped.
        layer: Name of the layer, as from :func:`final_layer`.
        scaler: The fitted scaling.
        read_logits: As for :func:`final_layer`.

    Raises:
        ValueError: If the layer needs a bias and has none, or as :func:`check_folded`.
    """
    read_logits = repeatable(read_logits)
    before = [logits.clone() for logits in read_logits()]
    last = model.get_submodule(layer)
    fold_(last.weight, last.bias, scaler)  # type: ignore[arg-type]
    check_folded(read_logits, before, scaler)


def check_folded(read_logits: ReadLogits, before: Sequence[Tensor], scaler: LogitScaler) -> None:
    """Refuse a folded model whose logits are not the scaled ones.

    Args:
        read_logits: As for :func:`final_layer`, of the folded model.
        before: What it, made :func:`repeatable`, returned before.
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
    """Undo what happens to the parameters of a layer."""
    saved = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                parameter.copy_(saved[name])
