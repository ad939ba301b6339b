"""Which samples of a problem are valid, and what its sums are divided by."""

from __future__ import annotations

import torch
from torch import Tensor

from ._label_counts import COUNT_LABELS, label_counts
from .backends.problem import LossProblem, PreparedLoss

__all__ = [
    "arithmetic_dtype",
    "check_coefficients",
    "check_logits",
    "check_logits_and_target",
    "inverse",
    "prepare",
]


def arithmetic_dtype(logits: Tensor) -> torch.dtype:
    """float64 for float64 logits, else float32."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def prepare(problem: LossProblem, *, traced: bool = False, by_label: bool = False) -> PreparedLoss:
    """Add mask and divisors to a problem.

    Divisors are floats on the CPU. On other devices, and when tracing, they stay tensors, because
    reading their values would wait for the device at every step.

    Args:
        problem: The loss.
        traced: Whether the call may be traced, e.g. by ``torch.compile``, so that no value may be
            read.
        by_label: Whether the backend finds the valid samples from the labels and needs no mask.

    Raises:
        ValueError: For labels out of range, on the CPU. On CUDA a device-side assertion fails, as
            in ``torch.nn.functional.cross_entropy``, since an exception would require waiting for
            the labels.
    """
    logits, target = problem.logits, problem.target
    device, dtype = logits.device, arithmetic_dtype(logits)
    num_classes = logits.shape[1]
    class_weight, sample_weight = problem.class_weight, problem.sample_weight
    if class_weight is not None:
        class_weight = class_weight.detach().to(device, dtype).contiguous()
    if sample_weight is not None:
        sample_weight = sample_weight.to(device, dtype)
    valid = None
    count: float | Tensor = float(logits.numel() // num_classes)
    divisor = count
    if not problem.soft:
        target = target.long().contiguous()
        arguments = (target, num_classes, problem.ignore_index, class_weight)
        if traced:
            count, weights = COUNT_LABELS(*arguments).to(dtype).unbind()
        else:
            count, weights = label_counts(*arguments)
        divisor = count if class_weight is None else weights
        all_count = not isinstance(count, Tensor) and count == target.numel()
        if problem.ignore_index is not None and not by_label and not all_count:
            valid = target.ne(problem.ignore_index)
    if problem.avg_factor is not None:
        divisor = problem.avg_factor.to(device, dtype).reshape(())
        if not traced and logits.is_cpu:
            divisor = float(divisor)
    share = inverse(count)
    return PreparedLoss(
        logits,
        target,
        valid,
        problem.ignore_index,
        _constant(problem.multipliers, device),
        _constant(problem.rho, device),
        problem.margin,
        kind=problem.kind,
        class_weight=class_weight,
        label_smoothing=problem.label_smoothing,
        sample_weight=sample_weight,
        entropy_scale=inverse(divisor),
        penalty_scale=share if problem.sum_over_classes else share / num_classes,
        constraint_share=share / num_classes,
        penalty_weight=problem.penalty_weight,
    )


def check_logits(logits: Tensor) -> None:
    """Check that logits are (N, K, ...) with K >= 2.

    Raises:
        ValueError: If they are not.
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


def check_logits_and_target(logits: Tensor, target: Tensor) -> None:
    """Check that logits (N, K, ...) and labels (N, ...) or probabilities (N, K, ...) fit.

    Raises:
        ValueError: If they do not fit.
    """
    check_logits(logits)
    shape = tuple(logits.shape)
    labels_shape = (shape[0], *shape[2:])
    if target.shape != (shape if target.is_floating_point() else labels_shape):
        raise ValueError(
            f"target has shape {tuple(target.shape)}, but logits of shape {shape} need labels of "
            f"shape {labels_shape} or probabilities of shape {shape}"
        )


def check_coefficients(num_classes: int, multipliers: Tensor, rho: Tensor) -> None:
    """Check that multipliers and rho have one entry per class.

    Raises:
        ValueError: If they do not.
    """
    for name, value in (("multipliers", multipliers), ("rho", rho)):
        if value.shape != (num_classes,):
            raise ValueError(
                f"{name} have shape {tuple(value.shape)} but the logits have {num_classes} "
                f"classes; set num_classes={num_classes}"
            )


def _constant(values: Tensor, device: torch.device) -> Tensor:
    values = values.detach() if values.requires_grad else values
    return values if values.device == device else values.to(device)


def inverse(divisor: float | int | Tensor) -> float | Tensor:
    """1 / divisor, or 0 if nothing is valid, so that the loss is 0 and not NaN."""
    if isinstance(divisor, Tensor):
        return torch.where(divisor > 0, 1 / divisor, torch.zeros_like(divisor))
    return 1 / divisor if divisor > 0 else 0.0
