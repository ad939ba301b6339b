"""The fused loss as one Triton kernel."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from .problem import LossSums, PreparedLoss
from .tiles import dense, has_class_rows
from .triton_kernels import loss_kernel, loss_kernel_many_classes, scale_kernel

__all__ = ["scale_unless_one_", "triton_loss"]

TILE = 4096
"""Logits of a tile, which a program keeps in registers."""

MANY_CLASSES_TILE = (16, 256)
"""Pixels and classes of a tile if the classes of enough pixels do not fit into one."""


def triton_loss(
    problem: PreparedLoss, *, with_gradient: bool, gradient_unit: float | Tensor = 1.0
) -> tuple[LossSums, Tensor | None]:
    """Compute the loss, and its gradient by the logits, reading the logits once.

    Nothing here waits for the device. Labels out of range trigger a device-side assertion.

    Args:
        problem: The loss, with labels; logits in float32, float16 or bfloat16.
        with_gradient: Whether to compute the gradient.
        gradient_unit: Divisor of the gradient.

    Returns:
        Float64 sums, and the gradient in the shape, dtype and (where dense) strides of the logits.
    """
    logits = dense(problem.logits)
    num_classes = logits.shape[1]
    gradient = torch.empty_like(logits) if with_gradient else None
    images, pixels = logits.shape[0], logits.numel() // (logits.shape[0] * num_classes)
    strides = (num_classes * pixels, pixels, 1)
    if has_class_rows(logits):
        images, pixels = 1, images * pixels
        strides = (0, 1, num_classes)
    many_classes, (block_p, block_k) = _tile(num_classes, rows=strides[1] == 1)
    tiles = triton.cdiv(pixels, block_p)
    programs = images * tiles
    partials = torch.empty((4, programs), dtype=torch.float32, device=logits.device)
    slope_scale = problem.penalty_weight * problem.penalty_scale / problem.margin
    scales = _on_device(
        logits.device, problem.entropy_scale / gradient_unit, slope_scale / gradient_unit
    )
    unused = partials  # a pointer that is never read
    kernel = loss_kernel_many_classes if many_classes else loss_kernel
    with _device_of(logits):
        kernel[(programs,)](
            logits,
            problem.target.contiguous(),
            unused if problem.valid is None else problem.valid.contiguous().view(torch.uint8),
            unused if problem.class_weight is None else problem.class_weight.contiguous(),
            unused if problem.sample_weight is None else problem.sample_weight.contiguous(),
            problem.multipliers.float().contiguous(),
            problem.rho.float().contiguous(),
            scales,
            unused if gradient is None else gradient,
            partials,
            num_classes,
            pixels,
            tiles,
            *strides,
            problem.margin,
            problem.label_smoothing,
            KIND=problem.kind,
            MASKED=problem.valid is not None,
            CLASS_WEIGHTED=problem.class_weight is not None,
            SAMPLE_WEIGHTED=problem.sample_weight is not None,
            WITH_GRADIENT=with_gradient,
            BLOCK_P=block_p,
            BLOCK_K=block_k,
        )
    # In a fixed order and in float64: deterministic, and exact for the counts.
    entropy, penalty, violated, bad = partials.sum(1, dtype=torch.float64).unbind(0)
    if logits.is_cuda:
        torch._assert_async(bad == 0, "cals_loss: a label is neither a class nor ignore_index")
    return (
        LossSums(entropy * problem.entropy_scale, penalty * problem.penalty_scale, violated),
        gradient,
    )


def scale_unless_one_(gradient: Tensor, factor: Tensor) -> Tensor:
    """Multiply a dense tensor in place by a scalar on its device, without waiting for its value."""
    block = 4096
    with _device_of(gradient):
        scale_kernel[(triton.cdiv(gradient.numel(), block),)](
            gradient, factor.float().contiguous(), gradient.numel(), BLOCK=block
        )
    return gradient


def _tile(num_classes: int, *, rows: bool) -> tuple[bool, tuple[int, int]]:
    """Whether the classes need a loop, and the pixels and classes of a tile."""
    block_k = triton.next_power_of_2(num_classes)
    # If pixels are contiguous, fewer than 16 of them would waste most of each transaction.
    fewest = 1 if rows else 16
    if block_k * fewest > 2 * TILE:
        return True, MANY_CLASSES_TILE if not rows else (1, TILE)
    return False, (max(fewest, TILE // block_k), block_k)


def _on_device(device: torch.device, *values: float | Tensor) -> Tensor:
    # Filled on the device, as a copy from the host could wait for it.
    return torch.stack(
        [
            v.to(torch.float32)
            if isinstance(v, Tensor)
            else torch.full((), v, dtype=torch.float32, device=device)
            for v in values
        ]
    )


def _device_of(tensor: Tensor) -> torch.cuda.device:
    # A device index of -1 keeps the current device.
    return torch.cuda.device(tensor.device.index if tensor.is_cuda else -1)
