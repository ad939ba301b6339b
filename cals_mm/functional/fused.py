"""Loss and gradient in one pass, as one node of the autograd graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .backends.chunked import chunked_loss
from .backends.problem import LossProblem, LossSums

__all__ = ["fused_loss"]


def fused_loss(problem: LossProblem, backend: str) -> tuple[Tensor, LossSums]:
    """Loss with its gradient already computed, where one is needed.

    Args:
        problem: The loss; the gradient goes to ``problem.logits`` alone.
        backend: 'chunked' or 'triton'.

    Returns:
        Loss () in float32, or float64 for float64 logits, and what it is made of.
    """
    # Asked here: inside the function grad mode is off, and the logits' wish outlives no_grad.
    with_gradient = torch.is_grad_enabled() and problem.logits.requires_grad
    loss, *sums = _FusedLoss.apply(problem.logits, problem, backend, with_gradient)
    return loss, LossSums(*sums)


class _FusedLoss(torch.autograd.Function):
    """Computes the gradient in the forward, where the logits are at hand, and keeps only that.

    The backward multiplies it by the incoming gradient in place: the buffer belongs to this
    function, so there is one buffer of the size of the logits, and no more. The price: there is
    one backward for each forward.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, problem: LossProblem, backend: str, with_gradient: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        problem = problem._replace(logits=logits.detach())
        # In float16, gradients of a mean over a million pixels would vanish before a gradient
        # scaler could enlarge them: the buffer holds those of the sum, the backward scales.
        unit = _nonzero(problem.entropy_scale) if logits.dtype == torch.float16 else 1.0
        with torch.autocast(logits.device.type, enabled=False):
            sums, gradient = _run(problem, backend, with_gradient, unit)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        ctx.unit = unit
        ctx.used = False
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        loss = (sums.entropy + problem.penalty_weight * sums.penalty).to(dtype)
        parts = LossSums(*(part.to(dtype) for part in sums))
        ctx.mark_non_differentiable(*parts)
        ctx.set_materialize_grads(False)
        return loss, *parts

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor | None, *_: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "cals_loss is not differentiable twice (create_graph=True); set "
                "CALS_MM_BACKEND=eager for the slower backend that is"
            )
        if grad_loss is None:
            return None, None, None, None
        if ctx.used:
            raise RuntimeError(
                "second backward through one cals_loss: its gradient buffer has been handed out; "
                "call cals_loss again, or set CALS_MM_BACKEND=eager"
            )
        ctx.used = True
        (gradient,) = ctx.saved_tensors
        return _scale_(gradient, grad_loss * ctx.unit), None, None, None


def _run(
    problem: LossProblem, backend: str, with_gradient: bool, unit: float | Tensor
) -> tuple[LossSums, Tensor | None]:
    if backend == "triton":
        from .backends.triton_loss import triton_loss  # Triton is optional, and slow to import

        return triton_loss(problem, with_gradient=with_gradient, gradient_unit=unit)
    return chunked_loss(problem, with_gradient=with_gradient, gradient_unit=unit)


def _nonzero(scale: float | Tensor) -> float | Tensor:
    if isinstance(scale, Tensor):
        return torch.where(scale == 0, torch.ones_like(scale), scale)
    return scale or 1.0


def _scale_(gradient: Tensor, factor: Tensor) -> Tensor:
    if gradient.device.type == "cpu":
        value = float(factor)
        return gradient if value == 1 else gradient.mul_(value)
    if gradient.device.type == "cuda":
        from .backends import has_triton

        if has_triton():
            # Asking whether the factor is 1 would wait for the device, so a kernel asks there.
            from .backends.triton_loss import scale_unless_one_

            return scale_unless_one_(gradient, factor)
    return gradient.mul_(factor)
