"""Find and count the valid labels."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from ._library import define_operator
from .backends import installed
from .backends.choice import asked_backend

__all__ = ["COUNT_LABELS", "label_counts", "refuse_label", "valid_labels"]


def label_counts(
    target: Tensor, num_classes: int, ignore_index: int | None, class_weight: Tensor | None
) -> tuple[float | Tensor, float | Tensor]:
    """Return the number of valid labels, and the sum of their class weights.

    Args:
        target: Labels (N, ...) int64, contiguous.
        num_classes: K.
        ignore_index: Label to ignore. None ignores no label.
        class_weight: (K,) float32 or float64, contiguous, or None for a sum of 0.

    Returns:
        Floats for labels on the CPU, tensors () elsewhere.

    Raises:
        ValueError: For a label out of range, on the CPU.
    """
    if target.is_cpu and installed.NATIVE is not None and asked_backend() in ("auto", "native"):
        return _read_labels(target, num_classes, ignore_index, class_weight)
    valid = valid_labels(target, num_classes, ignore_index)
    dtype = torch.float32 if class_weight is None else class_weight.dtype
    count: float | Tensor = float(target.numel())
    if valid is not None:
        count = _scalar(valid.sum().to(dtype))
    if class_weight is None:
        return count, 0.0
    weights = class_weight[target if valid is None else target.clamp(0, num_classes - 1)]
    if valid is not None:
        weights = torch.where(valid, weights, 0)
    return count, _scalar(weights.sum(dtype=torch.float64).to(dtype))


def valid_labels(target: Tensor, num_classes: int, ignore_index: int | None) -> Tensor | None:
    """Mask of the valid labels, (N, ...) bool, or None if all are valid.

    Raises:
        ValueError: For labels out of range, on the CPU.
    """
    if target.device.type != "cpu":
        return None if ignore_index is None else target.ne(ignore_index)
    if target.numel() == 0:
        return None
    ignores = ignore_index is not None and 0 <= ignore_index < num_classes
    if _in_range(target, num_classes) and not ignores:
        return None
    valid = torch.ones_like(target, dtype=torch.bool)
    if ignore_index is not None:
        torch.ne(target, ignore_index, out=valid)
    if not _in_range(target.masked_fill(~valid, 0), num_classes):
        wrong = valid & ((target < 0) | (target >= num_classes))
        refuse_label(target, int(wrong.reshape(-1).nonzero()[0]), num_classes, ignore_index)
    return valid


def _read_labels(
    target: Tensor, num_classes: int, ignore_index: int | None, class_weight: Tensor | None
) -> tuple[float, float]:
    count, weight, bad = installed.NATIVE.read_labels(
        target.data_ptr(),
        target.numel(),
        num_classes,
        ignore_index is not None,
        ignore_index or 0,
        0 if class_weight is None else class_weight.data_ptr(),
        class_weight is not None and class_weight.dtype == torch.float64,
    )
    if bad >= 0:
        refuse_label(target, bad, num_classes, ignore_index)
    return float(count), weight


def refuse_label(target: Tensor, bad: int, num_classes: int, ignore_index: int | None) -> NoReturn:
    """Say that the label at the place ``bad`` of the flattened target is out of range.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f"label {int(target.reshape(-1)[bad])} is outside 0..{num_classes - 1}: correct "
        f"num_classes, or mark such samples with ignore_index (now {ignore_index})"
    )


def _in_range(target: Tensor, num_classes: int) -> bool:
    low, high = torch.aminmax(target)
    return int(low) >= 0 and int(high) < num_classes


def _scalar(value: Tensor) -> float | Tensor:
    return float(value) if value.device.type == "cpu" else value


def _count(
    target: Tensor, num_classes: int, ignore_index: int | None, class_weight: Tensor | None
) -> Tensor:
    counts = label_counts(target, num_classes, ignore_index, class_weight)
    if target.is_cpu:
        return torch.tensor(counts, dtype=torch.float64)
    return torch.stack([torch.as_tensor(x, dtype=_DEVICE, device=target.device) for x in counts])


def _fake_count(
    target: Tensor, num_classes: int, ignore_index: int | None, class_weight: Tensor | None
) -> Tensor:
    return target.new_empty(2, dtype=torch.float64 if target.is_cpu else _DEVICE)


_DEVICE = torch.float32
"""float64 is missing on Metal."""

COUNT_LABELS = define_operator(
    "count_labels(Tensor target, int num_classes, int? ignore_index, Tensor? class_weight)"
    " -> Tensor",
    _count,
    _fake_count,
)
""":func:`label_counts` as an operator: (2,) float64 on the CPU, float32 elsewhere."""
