"""The fused loss in the compiled kernel, in one pass over the logits."""

from __future__ import annotations

import torch
from torch import Tensor

from . import installed
from .problem import LossProblem, LossSums, PreparedLoss
from .tiles import dense, has_class_rows

__all__ = ["NativeLoss", "address", "plain"]


class NativeLoss:
    """Losses of labels with PHR or ReLU, in single or double precision, on the CPU."""

    name = "native"
    by_label = True

    def covers(self, problem: LossProblem) -> bool:
        """Whether the kernel supports the loss."""
        return (
            problem.fusable
            and problem.kind in ("phr", "relu")
            and problem.logits.dtype in (torch.float32, torch.float64)
            and not problem.soft
            and installed.has_native()
        )

    def run(
        self, problem: PreparedLoss, *, with_gradient: bool, gradient_unit: float | Tensor = 1.0
    ) -> tuple[LossSums, Tensor | None]:
        """Compute the loss, and its gradient by the logits, in one pass over the logits.

        Args:
            problem: The loss; the kernel itself leaves out labels equal to ``ignore_index``.
            with_gradient: Whether to compute the gradient.
            gradient_unit: Divisor of the gradient.

        Returns:
            Sums as floats, and the gradient in the shape, dtype and (where dense) strides of the
            logits.
        """
        logits = dense(problem.logits)
        dtype, num_classes = logits.dtype, logits.shape[1]
        gradient = torch.empty_like(logits) if with_gradient else None
        samples = logits.numel() // num_classes
        # All of them must live until the kernel has run.
        target = problem.target.contiguous()
        sample_weight = plain(problem.sample_weight, dtype)
        class_weight = plain(problem.class_weight, dtype)
        multipliers, rho = plain(problem.multipliers, dtype), plain(problem.rho, dtype)
        entropy, penalty, violated = installed.NATIVE.loss(
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
            problem.entropy_scale / gradient_unit,
            problem.penalty_weight * problem.penalty_scale / problem.margin / gradient_unit,
        )
        scales = float(problem.entropy_scale), float(problem.penalty_scale)
        return LossSums(entropy * scales[0], penalty * scales[1], violated), gradient


def address(tensor: Tensor | None) -> int:
    """Address of a tensor, or 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def plain(values: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Contiguous values in the given dtype."""
    if values is None or (values.dtype == dtype and values.is_contiguous()):
        return values
    return values.to(dtype).contiguous()
