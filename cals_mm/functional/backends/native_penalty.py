"""The margin penalty alone by the compiled kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from . import installed
from .native import address, plain
from .penalty_problem import PenaltyProblem, PenaltySums
from .tiles import dense, has_class_rows

__all__ = ["NativePenalty"]


class NativePenalty:
    """PHR or ReLU, in single or double precision, on the CPU."""

    name = "native"

    def covers(self, problem: PenaltyProblem) -> bool:
        """Whether the kernel computes such a penalty."""
        return (
            problem.logits.numel() > 0
            and problem.kind in ("phr", "relu")
            and problem.logits.dtype in (torch.float32, torch.float64)
            and installed.has_native()
        )

    def run(
        self, problem: PenaltyProblem, *, with_gradient: bool, scale: float | Tensor
    ) -> tuple[PenaltySums, Tensor | None]:
        """Sums, and the gradient by the logits.

        Args:
            problem: What to compute.
            with_gradient: Whether to compute the gradient.
            scale: Of the gradient.

        Returns:
            Sums as floats, and the gradient in the shape, dtype and (where dense) strides of the
            logits.
        """
        logits = dense(problem.logits)
        dtype, num_classes = logits.dtype, logits.shape[1]
        gradient = torch.empty_like(logits) if with_gradient else None
        samples = logits.numel() // num_classes
        # All of them live until the kernel has run.
        mask = None if problem.mask is None else problem.mask.contiguous()
        multipliers, rho = plain(problem.multipliers, dtype), plain(problem.rho, dtype)
        penalty, violated = installed.NATIVE.penalty(
            torch.get_num_threads(),
            dtype == torch.float64,
            samples=samples,
            logits=logits.data_ptr(),
            gradient=address(gradient),
            mask=address(mask),
            multipliers=address(multipliers),
            rho=address(rho),
            classes=num_classes,
            pixels=samples // logits.shape[0],
            rows=logits.ndim == 2 or has_class_rows(logits),
            relu=problem.kind == "relu",
            margin=problem.margin,
            slope_scale=float(scale) / problem.margin,
        )
        return PenaltySums(penalty, violated), gradient
