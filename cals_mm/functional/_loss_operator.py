"""Loss and gradient in one pass, as one operator and one node of the autograd graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._library import define_operator
from ._normalisation import arithmetic_dtype, prepare
from .backends.installed import has_triton
from .backends.loss import LOSS_BACKENDS
from .backends.problem import LossParts, LossProblem
from .backends.tiles import dense

__all__ = ["FUSED_LOSS", "fused_loss", "scale_gradient"]

Results = tuple[Tensor, Tensor, Tensor]

BACKENDS = {backend.name: backend for row in LOSS_BACKENDS.values() for backend in row}


def fused_loss(problem: LossProblem, backend: str) -> tuple[Tensor, LossParts]:
    """Loss with its gradient already computed, where one is needed.

    Args:
        problem: The loss; the gradient goes to ``problem.logits`` alone.
        backend: 'native', 'chunked' or 'triton'.

    Returns:
        Loss () in float32, or float64 for float64 logits, and what it is made of.
    """
    with_gradient = problem.logits.requires_grad and torch.is_grad_enabled()
    loss, parts, _ = _call()(*problem, backend, with_gradient)
    return loss, LossParts(*parts.unbind()[:3])


def _call() -> Any:
    # A tracer records the operator. Otherwise its node is made here, which saves a dispatch.
    if torch.compiler.is_compiling():
        return FUSED_LOSS
    # What torch.func needs costs as much as the rest of a small call.
    transformed = torch._C._are_functorch_transforms_active()
    return _TransformedLoss.apply if transformed else _FusedLoss.apply


def _run(*arguments: Any) -> Results:
    *fields, name, with_gradient = arguments
    backend = BACKENDS[name]
    problem = LossProblem(*fields)
    logits = problem.logits
    dtype = arithmetic_dtype(logits)
    prepared = prepare(problem, by_label=backend.by_label)
    # In float16, gradients of a mean over a million pixels would vanish before a gradient
    # scaler could enlarge them: the buffer holds those of the sum, the backward scales.
    unit = _nonzero(prepared.entropy_scale) if logits.dtype == torch.float16 else 1.0
    if name == "native":
        sums, gradient = backend.run(prepared, with_gradient=with_gradient, gradient_unit=unit)
    else:
        with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
            sums, gradient = backend.run(prepared, with_gradient=with_gradient, gradient_unit=unit)
    loss = sums.entropy + prepared.penalty_weight * sums.penalty
    share = sums.violated * prepared.constraint_share
    parts = _tensor([sums.entropy, sums.penalty, share, unit], dtype, logits.device)
    loss = loss.to(dtype) if isinstance(loss, Tensor) else torch.scalar_tensor(loss, dtype=dtype)
    return loss, parts, logits.new_empty(0) if gradient is None else gradient


def _fake(logits: Tensor, *arguments: Any) -> Results:
    dtype, with_gradient = arithmetic_dtype(logits), arguments[-1]
    gradient = torch.empty_like(dense(logits)) if with_gradient else logits.new_empty(0)
    return logits.new_empty((), dtype=dtype), logits.new_empty(4, dtype=dtype), gradient


class _FusedLoss(torch.autograd.Function):
    """A loss whose gradient was computed with it, where the logits were at hand.

    The backward multiplies it by the incoming gradient in place: the buffer belongs to this
    function, so there is one buffer of the size of the logits, and no more. The price: there is
    one backward for each forward.
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Results:
        results = _below_autograd(*arguments)
        _keep(ctx, results)
        return results

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise RuntimeError(
            "cals_loss has no forward-mode derivative; set CALS_MM_BACKEND=eager for the slower "
            "backend that has"
        )

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor | None, *others: Tensor | None) -> Any:
        # The gradient is an output, so that whoever differentiates it comes by here.
        if others[1] is not None:
            raise RuntimeError(
                "cals_loss is not differentiable twice; set CALS_MM_BACKEND=eager for the slower "
                "backend that is"
            )
        nothing = (None,) * (len(LossProblem._fields) + 1)
        if grad_loss is None:
            return None, *nothing
        if ctx.used:
            raise RuntimeError(
                "second backward through one cals_loss: its gradient buffer has been handed out; "
                "call cals_loss again, or set CALS_MM_BACKEND=eager"
            )
        gradient, parts = ctx.saved_tensors
        factor = grad_loss * parts[3] if gradient.dtype == torch.float16 else grad_loss
        in_place = type(gradient) is Tensor and not torch.is_grad_enabled()
        ctx.used = in_place
        return scale_gradient(gradient, factor, in_place=in_place), *nothing


class _TransformedLoss(_FusedLoss):
    """The same as ``torch.func`` wants it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> Results:
        return _below_autograd(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Results) -> None:
        _keep(ctx, output)


def _below_autograd(*arguments: Any) -> Results:
    with torch._C._AutoDispatchBelowAutograd():
        results: Results = FUSED_LOSS(*arguments)
    return results


def _keep(ctx: Any, results: Results) -> None:
    _, parts, gradient = results
    ctx.mark_non_differentiable(parts)
    ctx.save_for_backward(gradient, parts)
    ctx.used = False
    ctx.set_materialize_grads(False)


def _record(*arguments: Any) -> Any:
    return _FusedLoss.apply(*arguments)


def scale_gradient(gradient: Tensor, factor: Tensor, *, in_place: bool) -> Tensor:
    """The gradient of a loss from what was computed with the loss.

    Args:
        gradient: (N, K, ...) as computed.
        factor: () gradient of the loss itself.
        in_place: Whether ``gradient`` may become the result; never under a tracer.
    """
    if not in_place:
        return (gradient * factor).to(gradient.dtype)
    if gradient.is_cpu:
        value = float(factor)
        return gradient if value == 1 else gradient.mul_(value)
    if gradient.is_cuda and has_triton():
        # Asking whether the factor is 1 would wait for the device, so a kernel asks there.
        from .backends.triton_loss import scale_unless_one_

        return scale_unless_one_(gradient, factor)
    return gradient.mul_(factor)


def _tensor(values: list[float | Tensor], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    if not any(isinstance(value, Tensor) for value in values):
        return torch.tensor(values, dtype=dtype, device=device)
    return torch.stack([torch.as_tensor(value, dtype=dtype, device=device) for value in values])


def _nonzero(scale: float | Tensor) -> float | Tensor:
    if isinstance(scale, Tensor):
        return torch.where(scale == 0, torch.ones_like(scale), scale)
    return scale or 1.0


FUSED_LOSS = define_operator(
    "fused_loss(Tensor logits, Tensor target, Tensor multipliers, Tensor rho, float margin,"
    " str kind, int? ignore_index, Tensor? class_weight, float label_smoothing,"
    " bool sum_over_classes, float penalty_weight, Tensor? sample_weight, Tensor? avg_factor,"
    " str backend, bool with_gradient)"
    " -> (Tensor loss, Tensor parts, Tensor gradient)",
    _run,
    _fake,
    autograd=_record,
)
"""Of the fields of :class:`LossProblem`, a backend's name and whether to compute the gradient.

``parts`` are those of :class:`LossParts` and the unit of ``gradient``, (4,); ``gradient`` is empty
where it was not asked for.
"""
