"""The fused loss in the compiled kernel, in one pass over the logits."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from . import installed
from .problem import LossProblem
from .tiles import dense, has_class_rows

__all__ = ["NativeLoss", "address", "plain"]


class NativeLoss:
    """Losses of labels with PHR or ReLU, in single or double precision, on the CPU."""

    name = "native"

    def covers(self, problem: LossProblem) -> bool:
        """Whether the kernel supports the loss."""
        return (
            problem.kind in ("phr", "relu")
            and problem.logits.dtype in (torch.float32, torch.float64)
            and not problem.soft
            and problem.fusable
            and installed.has_native()
        )

    def run(
        self, problem: LossProblem, *, with_gradient: bool
    ) -> tuple[tuple[float, float, float, int], Tensor | None]:
        """Compute the loss, and its gradient by the logits, in one pass over the logits.

        Args:
            problem: The loss; the kernel itself counts the labels and divides by their number.
            with_gradient: Whether to compute the gradient.

        Returns:
            Mean cross entropy and penalty, the share of violated constraints, and the place of the
            first label out of range, in which case nothing was computed, or -1; and the gradient in
            the shape, dtype and (where dense) strides of the logits.
        """
        logits = dense(problem.logits)
        dtype, num_classes = logits.dtype, logits.shape[1]
        gradient = torch.empty_like(logits) if with_gradient else None
        samples = logits.numel() // num_classes
        # All of them must live until the kernel has run.
        target = problem.target.long().contiguous()
        sample_weight = plain(problem.sample_weight, dtype)
        class_weight = plain(problem.class_weight, dtype)
        multipliers, rho = plain(problem.multipliers, dtype), plain(problem.rho, dtype)
        result = installed.NATIVE.loss(
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
            -inf if problem.avg_factor is None else float(problem.avg_factor),
            problem.sum_over_classes,
            problem.penalty_weight,
        )
        return result, gradient


def address(tensor: Tensor | None) -> int:
    """Address of a tensor, or 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def plain(values: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Contiguous values in the given dtype, on the CPU."""
    if values is None or (values.dtype == dtype and values.is_cpu and values.is_contiguous()):
        return values
    return values.detach().to("cpu", dtype).contiguous()
