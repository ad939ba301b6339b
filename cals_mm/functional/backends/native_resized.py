"""The loss of resized logits in the compiled kernel, where only the labels have full size."""

from __future__ import annotations

import torch
from torch import Tensor

from .._resize import source_positions
from . import installed
from .native import address, plain
from .resized import ResizedProblem, ResizedSums, precise

__all__ = ["native_resized_loss"]


def native_resized_loss(
    problem: ResizedProblem, *, with_gradient: bool
) -> tuple[ResizedSums, Tensor | None]:
    """Compute the loss, and its gradient by the logits before resizing.

    Args:
        problem: A loss that the kernel covers, on the CPU.
        with_gradient: Whether to compute the gradient.

    Returns:
        Sums, and the gradient (N, K, h, w) in the dtype of the logits, contiguous.
    """
    loss = problem.loss
    logits = precise(loss.logits.detach()).contiguous()
    dtype = logits.dtype
    images, classes, height, width = logits.shape
    out_height, out_width = problem.size
    gradient = torch.empty_like(logits) if with_gradient else None
    # All of them must live until the kernel has run.
    row_from, row_share = source_positions(height, out_height, problem.align_corners, dtype)
    column_from, column_share = source_positions(width, out_width, problem.align_corners, dtype)
    target = loss.target.contiguous()
    sample_weight, class_weight = plain(loss.sample_weight, dtype), plain(loss.class_weight, dtype)
    multipliers, rho = plain(loss.multipliers, dtype), plain(loss.rho, dtype)
    entropy, penalty, violated, correct = installed.NATIVE.upsampled(
        torch.get_num_threads(),
        dtype == torch.float64,
        logits=logits.data_ptr(),
        gradient=address(gradient),
        target=target.data_ptr(),
        sample_weight=address(sample_weight),
        class_weight=address(class_weight),
        multipliers=address(multipliers),
        rho=address(rho),
        images=images,
        classes=classes,
        height=height,
        width=width,
        out_height=out_height,
        out_width=out_width,
        row_from=row_from.data_ptr(),
        row_share=row_share.data_ptr(),
        column_from=column_from.data_ptr(),
        column_share=column_share.data_ptr(),
        ignores=loss.ignore_index is not None,
        relu=loss.kind == "relu",
        ignore_index=loss.ignore_index or 0,
        margin=loss.margin,
        smoothing=loss.label_smoothing,
        entropy_scale=loss.entropy_scale,
        slope_scale=loss.penalty_weight * loss.penalty_scale / loss.margin,
    )
    scales = float(loss.entropy_scale), float(loss.penalty_scale)
    sums = ResizedSums(entropy * scales[0], penalty * scales[1], violated, correct)
    return sums, None if gradient is None else gradient.to(loss.logits.dtype)
