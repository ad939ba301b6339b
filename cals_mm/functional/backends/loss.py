"""The backends of the loss."""

from __future__ import annotations

from typing import Any

import torch

from .choice import choose
from .chunked import ChunkedLoss
from .eager import EagerLoss
from .installed import has_triton, interprets_triton
from .native import NativeLoss
from .problem import LossProblem

__all__ = ["LOSS_BACKENDS", "LossBackend", "TritonLoss", "choose_loss"]


class TritonLoss:
    """Losses of labels in single and half precision, on CUDA (interpreted on the CPU in tests)."""

    name = "triton"

    def covers(self, problem: LossProblem) -> bool:
        """Whether the kernel supports the loss."""
        return (
            problem.fusable
            and problem.logits.dtype != torch.float64
            and not problem.soft
            and (problem.logits.is_cuda or interprets_triton())
            and has_triton()
        )

    def run(self, problem: Any, **options: Any) -> Any:
        """Compute the loss, and its gradient by the logits, reading the logits once."""
        from .triton_loss import triton_loss  # Triton is optional and slow to import

        return triton_loss(problem, **options)


LossBackend = NativeLoss | TritonLoss | ChunkedLoss | EagerLoss

LOSS_BACKENDS: dict[str, tuple[LossBackend, ...]] = {
    "cpu": (NativeLoss(), TritonLoss(), ChunkedLoss(), EagerLoss()),
    "cuda": (TritonLoss(), ChunkedLoss(), EagerLoss()),
}
"""Backends by device type, from fastest to slowest; other device types use only the last."""

_ELSEWHERE = LOSS_BACKENDS["cpu"][-1:]


def choose_loss(problem: LossProblem) -> LossBackend:
    """Choose the backend for a loss, see :func:`choose`."""
    device = problem.logits.device
    return choose(LOSS_BACKENDS.get(device.type, _ELSEWHERE), problem, device)
