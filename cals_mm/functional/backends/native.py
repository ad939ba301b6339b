"""The fused loss by the compiled kernel: one pass over the logits, the gradient written once."""

from __future__ import annotations

import importlib
import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .problem import LossProblem
from .tiles import dense, has_class_rows

__all__ = [
    "address",
    "count_labels",
    "covers",
    "has_native",
    "kernels",
    "native_loss",
    "plain",
    "warn_without_native",
]


@lru_cache(maxsize=1)
def kernels() -> Any:
    """The compiled module, or None where it was not compiled."""
    try:
        return importlib.import_module("cals_mm.functional.backends._native")
    except ImportError:
        return None


def has_native() -> bool:
    """Whether the kernel was compiled when the package was installed."""
    return kernels() is not None


@lru_cache(maxsize=1)
def warn_without_native() -> None:
    """Say once what is missing and how to get it."""
    warnings.warn(
        "the compiled kernel of cals_loss is missing: plain torch takes its place, several times "
        "slower on small batches; install a C compiler and run 'pip install' again to build it",
        stacklevel=2,
    )


def covers(logits: Tensor, target: Tensor, kind: str) -> bool:
    """Whether the kernel computes such a loss."""
    return (
        logits.is_cpu
        and kind in ("phr", "relu")
        and logits.dtype in (torch.float32, torch.float64)
        and not target.is_floating_point()
    )


def count_labels(
    target: Tensor, num_classes: int, ignore_index: int | None, class_weight: Tensor | None
) -> tuple[float, float]:
    """Number of labels that count, and the sum of their class weights.

    Args:
        target: Labels (N, ...) int64, contiguous, on the CPU.
        num_classes: K.
        ignore_index: Label that does not count; None: all count.
        class_weight: (K,) float32 or float64, contiguous, or None for a sum of 0.

    Raises:
        ValueError: For a label out of range.
    """
    wide = class_weight is not None and class_weight.dtype == torch.float64
    count, weight, bad = kernels().read_labels(
        target.data_ptr(),
        target.numel(),
        num_classes,
        ignore_index is not None,
        ignore_index or 0,
        0 if class_weight is None else class_weight.data_ptr(),
        wide,
    )
    if bad >= 0:
        raise ValueError(
            f"label {int(target.view(-1)[bad])} is outside 0..{num_classes - 1}: correct "
            f"num_classes, or mark such samples with ignore_index (now {ignore_index})"
        )
    return float(count), weight


def native_loss(
    problem: LossProblem, *, with_gradient: bool
) -> tuple[tuple[float, float, float], Tensor | None]:
    """Loss, and its gradient by the logits, in one pass over the logits.

    Args:
        problem: A loss that :func:`covers` holds of, on the CPU; the kernel itself leaves out the
            labels that are ``ignore_index``.
        with_gradient: Whether to compute the gradient.

    Returns:
        Cross entropy, penalty and violated constraints as in :class:`LossSums`, and the gradient in
        the shape, dtype and (where dense) strides of the logits.
    """
    logits = dense(problem.logits.detach())
    dtype, num_classes = logits.dtype, logits.shape[1]
    gradient = torch.empty_like(logits) if with_gradient else None
    samples = logits.numel() // num_classes
    # All of them live until the kernel has run.
    target = problem.target.contiguous()
    sample_weight = plain(problem.sample_weight, dtype)
    class_weight = plain(problem.class_weight, dtype)
    multipliers, rho = plain(problem.multipliers, dtype), plain(problem.rho, dtype)
    entropy, penalty, violated = kernels().loss(
        samples,
        torch.get_num_threads(),
        dtype == torch.float64,
        logits.data_ptr(),
        address(gradient),
        target.data_ptr(),
        address(sample_weight),
        address(class_weight),
        address(multipliers),
        address(rho),
        num_classes,
        samples // logits.shape[0],
        logits.ndim == 2 or has_class_rows(logits),
        problem.ignore_index is not None,
        problem.kind == "relu",
        problem.ignore_index or 0,
        problem.margin,
        problem.label_smoothing,
        problem.entropy_scale,
        problem.penalty_weight * problem.penalty_scale / problem.margin,
    )
    scales = float(problem.entropy_scale), float(problem.penalty_scale)
    return (entropy * scales[0], penalty * scales[1], violated), gradient


def address(tensor: Tensor | None) -> int:
    """Where the elements of a tensor lie, 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def plain(values: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """The values, contiguous and of this dtype; copied only if they are not."""
    if values is None or (values.dtype == dtype and values.is_contiguous()):
        return values
    return values.to(dtype).contiguous()
