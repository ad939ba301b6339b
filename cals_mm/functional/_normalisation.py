"""From the arguments of a loss to a checked problem with its divisors."""

from __future__ import annotations

import torch
from torch import Tensor

from .backends.native import count_labels
from .backends.problem import LossProblem

__all__ = ["check_logits_and_target", "inverse", "make_problem", "valid_labels"]


def make_problem(
    logits: Tensor,
    target: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: str,
    ignore_index: int | None,
    class_weight: Tensor | None,
    label_smoothing: float,
    sum_over_classes: bool,
    penalty_weight: float,
    sample_weight: Tensor | None,
    avg_factor: float | Tensor | None,
    reads_labels: bool = False,
) -> LossProblem:
    """Problem of :func:`cals_mm.functional.cals_loss`, whose arguments these are.

    On the CPU the scales are floats. Elsewhere they stay tensors, because asking for their value
    would wait for the device at every step. With ``reads_labels`` the backend finds out by itself
    which samples count, so there is no mask of them.

    Raises:
        ValueError: For labels out of range, on the CPU. On CUDA the device asserts, as it does in
            ``torch.nn.functional.cross_entropy``, since an exception would need their values.
    """
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    num_classes = logits.shape[1]
    if class_weight is not None:
        _check_shape("class_weight", class_weight, (num_classes,))
        class_weight = class_weight.detach().to(logits.device, dtype).contiguous()
    if sample_weight is not None:
        _check_shape("sample_weight", sample_weight, (logits.shape[0], *logits.shape[2:]))
        sample_weight = sample_weight.to(logits.device, dtype)

    valid = None
    count: float | Tensor = float(logits.numel() // num_classes)
    divisor = count
    if reads_labels:
        target = target.long().contiguous()
        count, weights = count_labels(target, num_classes, ignore_index, class_weight)
        divisor = count if class_weight is None or avg_factor is not None else weights
    elif not target.is_floating_point():
        target = target.long()
        valid = valid_labels(target, num_classes, ignore_index)
        if valid is not None:
            count = _scalar(valid.sum().to(dtype))
        divisor = count
        if class_weight is not None and avg_factor is None:
            divisor = _sum_of_weights(class_weight, target, valid)
    if avg_factor is not None:
        divisor = _scalar(torch.as_tensor(avg_factor, dtype=dtype, device=logits.device))
    share = inverse(count)
    return LossProblem(
        logits,
        target,
        valid,
        ignore_index,
        _constant(multipliers, logits),
        _constant(rho, logits),
        margin,
        kind=kind,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        sample_weight=sample_weight,
        entropy_scale=inverse(divisor),
        penalty_scale=share if sum_over_classes else share / num_classes,
        constraint_share=share / num_classes,
        penalty_weight=penalty_weight,
    )


def check_logits_and_target(logits: Tensor, target: Tensor) -> None:
    """Check that logits (N, K, ...) and labels (N, ...) or probabilities (N, K, ...) fit.

    Raises:
        ValueError: If they do not, naming the shapes.
    """
    if logits.ndim < 2 or not logits.is_floating_point():
        raise ValueError(
            f"logits must be floating with shape (N, K, ...), got {tuple(logits.shape)} "
            f"{logits.dtype}"
        )
    if logits.shape[1] < 2:
        raise ValueError(
            "logits have 1 channel: the loss is one of a softmax over classes, so a binary sigmoid "
            "head needs two output channels instead"
        )
    labels_shape = (logits.shape[0], *logits.shape[2:])
    expected = tuple(logits.shape) if target.is_floating_point() else labels_shape
    if tuple(target.shape) != expected:
        raise ValueError(
            f"target has shape {tuple(target.shape)}, but logits of shape {tuple(logits.shape)} "
            f"need labels of shape {labels_shape} or probabilities of shape {tuple(logits.shape)}"
        )


def valid_labels(target: Tensor, num_classes: int, ignore_index: int | None) -> Tensor | None:
    """Mask of the labels that count, (N, ...) bool, or None where all do.

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
        bad = target[valid & ((target < 0) | (target >= num_classes))][0]
        raise ValueError(
            f"label {int(bad)} is outside 0..{num_classes - 1}: correct num_classes, "
            f"or mark such samples with ignore_index (now {ignore_index})"
        )
    return valid


def _check_shape(name: str, value: Tensor, expected: tuple[int, ...]) -> None:
    if value.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, got {tuple(value.shape)}")


def _constant(values: Tensor, logits: Tensor) -> Tensor:
    values = values.detach() if values.requires_grad else values
    return values if values.device == logits.device else values.to(logits.device)


def _sum_of_weights(class_weight: Tensor, target: Tensor, valid: Tensor | None) -> float | Tensor:
    weights = class_weight[target if valid is None else target.clamp(0, len(class_weight) - 1)]
    if valid is not None:
        weights = torch.where(valid, weights, 0)
    return _scalar(weights.sum(dtype=torch.float64).to(class_weight.dtype))


def _in_range(target: Tensor, num_classes: int) -> bool:
    low, high = torch.aminmax(target)
    return int(low) >= 0 and int(high) < num_classes


def _scalar(value: Tensor) -> float | Tensor:
    value = value.reshape(())
    return float(value) if value.device.type == "cpu" else value


def inverse(divisor: float | int | Tensor) -> float | Tensor:
    """1 / divisor, or 0 where nothing is valid, so that the loss is 0 and not NaN."""
    if isinstance(divisor, float | int):
        return 1 / divisor if divisor > 0 else 0.0
    return torch.where(divisor > 0, 1 / divisor, torch.zeros_like(divisor))
