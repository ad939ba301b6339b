"""Loss and gradient in one pass, as one node of the autograd graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .backends.chunked import chunked_loss
from .backends.native import native_loss
from .backends.problem import LossParts, LossProblem, LossSums

__all__ = ["fused_loss"]


def fused_loss(problem: LossProblem, backend: str) -> tuple[Tensor, LossParts]:
    """Loss with its gradient already computed, where one is needed.

    Args:
        problem: The loss; the gradient goes to ``problem.logits`` alone.
        backend: 'native', 'chunked' or 'triton'.

    Returns:
        Loss () in float32, or float64 for float64 logits, and what it is made of.
    """
    logits = problem.logits
    with_gradient = logits.requires_grad and torch.is_grad_enabled()
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    unit: float | Tensor | None = None
    if backend == "native":
        (entropy, penalty, violated), gradient = native_loss(problem, with_gradient=with_gradient)
        numbers = (entropy, penalty, violated * float(problem.constraint_share))
        parts = LossParts(*(torch.scalar_tensor(number, dtype=dtype) for number in numbers))
        loss = torch.scalar_tensor(entropy + problem.penalty_weight * penalty, dtype=dtype)
    else:
        problem = problem._replace(logits=logits.detach())
        # In float16, gradients of a mean over a million pixels would vanish before a gradient
        # scaler could enlarge them: the buffer holds those of the sum, the backward scales.
        if logits.dtype == torch.float16:
            unit = _nonzero(problem.entropy_scale)
        with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
            sums, gradient = _run(problem, backend, with_gradient, 1.0 if unit is None else unit)
            loss = (sums.entropy + problem.penalty_weight * sums.penalty).to(dtype)
            share = sums.violated * problem.constraint_share
            parts = LossParts(*(part.to(dtype) for part in (sums.entropy, sums.penalty, share)))
    if gradient is None:
        return loss, parts
    return _FusedLoss.apply(logits, (loss, gradient, unit)), parts


class _FusedLoss(torch.autograd.Function):
    """A loss whose gradient was computed with it, where the logits were at hand.

    The backward multiplies it by the incoming gradient in place: the buffer belongs to this
    function, so there is one buffer of the size of the logits, and no more. The price: there is
    one backward for each forward.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, computed: tuple[Tensor, Tensor, float | Tensor | None]
    ) -> Tensor:
        # Not inputs of the function: one returned as it is would be a view, which must not be
        # changed in place.
        loss, gradient, ctx.unit = computed
        ctx.save_for_backward(gradient)
        ctx.used = False
        ctx.set_materialize_grads(False)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "cals_loss is not differentiable twice (create_graph=True); set "
                "CALS_MM_BACKEND=eager for the slower backend that is"
            )
        if grad_loss is None:
            return None, None
        if ctx.used:
            raise RuntimeError(
                "second backward through one cals_loss: its gradient buffer has been handed out; "
                "call cals_loss again, or set CALS_MM_BACKEND=eager"
            )
        ctx.used = True
        (gradient,) = ctx.saved_tensors
        factor = grad_loss if ctx.unit is None else grad_loss * ctx.unit
        return _scale_(gradient, factor), None


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
