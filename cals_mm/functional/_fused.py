"""A scalar and its gradient in one pass, as one operator and one node of the autograd graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._library import define_operator, is_compiling
from ._normalisation import arithmetic_dtype
from .backends.installed import has_triton
from .backends.tiles import dense

__all__ = ["FusedOperator", "Results", "fake_results", "gradient_unit", "stacked"]

Results = tuple[Tensor, Tensor, Tensor]
"""The scalar (); other values (n,), of which the last is the unit of the gradient; the gradient by
the first argument in these units, or without elements where it was not asked for."""


class FusedOperator:
    """An operator that gives a scalar with its gradient already computed.

    The backward multiplies the gradient by the incoming one in place: the buffer belongs to this
    node, so there is one buffer of the size of the logits, and no more. The price: there is one
    backward for each forward.

    Args:
        public: Name of the function that a user calls, for what is refused.
        schema: ``name(Tensor logits, ...)``; it gives :data:`Results`.
        run: Computes them.
        fake: Gives such results with any content.
    """

    def __init__(
        self,
        public: str,
        schema: str,
        run: Callable[..., Results],
        fake: Callable[..., Results],
    ) -> None:
        self._node, self._transformed_node = _nodes(public, self._below_autograd)
        self._operator = define_operator(
            f"{schema} -> (Tensor value, Tensor parts, Tensor gradient)",
            run,
            fake,
            autograd=lambda *arguments: self._node.apply(*arguments),
        )

    def __call__(self, *arguments: Any) -> Results:
        """The results, of which the scalar is differentiable by the first argument."""
        # A tracer records the operator. Otherwise its node is made here, which saves a dispatch.
        if is_compiling():
            call = self._operator
        # What torch.func needs costs as much as the rest of a small call.
        elif torch._C._are_functorch_transforms_active():
            call = self._transformed_node.apply
        else:
            call = self._node.apply
        results: Results = call(*arguments)
        return results

    def _below_autograd(self, *arguments: Any) -> Results:
        with torch._C._AutoDispatchBelowAutograd():
            results: Results = self._operator(*arguments)
        return results


def _nodes(public: str, compute: Callable[..., Results]) -> tuple[Any, Any]:
    """The node of an operator, and the same as ``torch.func`` wants it."""

    class Node(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arguments: Any) -> Results:
            results = compute(*arguments)
            _keep(ctx, arguments, results)
            return results

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            raise RuntimeError(
                f"{public} has no forward-mode derivative; set CALS_MM_BACKEND=eager for the "
                "slower backend that has"
            )

        @staticmethod
        def backward(ctx: Any, grad_value: Tensor | None, *others: Tensor | None) -> Any:
            # The gradient is an output, so that whoever differentiates it comes by here.
            if others[1] is not None:
                raise RuntimeError(
                    f"{public} is not differentiable twice; set CALS_MM_BACKEND=eager for the "
                    "slower backend that is"
                )
            nothing = (None,) * (ctx.arguments - 1)
            if grad_value is None:
                return None, *nothing
            if ctx.used:
                raise RuntimeError(
                    f"second backward through one {public}: its gradient buffer has been handed "
                    f"out; call {public} again, or set CALS_MM_BACKEND=eager"
                )
            gradient, parts = ctx.saved_tensors
            factor = grad_value * parts[-1] if gradient.dtype == torch.float16 else grad_value
            ctx.used = type(gradient) is Tensor and not torch.is_grad_enabled()
            # A tracer wants a new tensor, and so does whoever differentiates the gradient.
            scaled = _scale_(gradient, factor) if ctx.used else gradient * factor
            return scaled.to(ctx.dtype), *nothing

    class TransformedNode(Node):
        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> Results:
            return compute(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Results) -> None:
            _keep(ctx, inputs, output)

    return Node, TransformedNode


def _keep(ctx: Any, arguments: tuple[Any, ...], results: Results) -> None:
    _, parts, gradient = results
    ctx.arguments, ctx.dtype, ctx.used = len(arguments), arguments[0].dtype, False
    ctx.mark_non_differentiable(parts)
    ctx.save_for_backward(gradient, parts)
    ctx.set_materialize_grads(False)


def _scale_(gradient: Tensor, factor: Tensor) -> Tensor:
    if gradient.is_cpu:
        value = float(factor)
        return gradient if value == 1 else gradient.mul_(value)
    if gradient.is_cuda and has_triton():
        # Asking whether the factor is 1 would wait for the device, so a kernel asks there.
        from .backends.triton_loss import scale_unless_one_

        return scale_unless_one_(gradient, factor)
    return gradient.mul_(factor)


def fake_results(logits: Tensor, *arguments: Any, parts: int) -> Results:
    """Results of the right shapes; ``arguments[-1]`` says whether the gradient is among them."""
    dtype = arithmetic_dtype(logits)
    gradient = torch.empty_like(dense(logits)) if arguments[-1] else logits.new_empty(0)
    return logits.new_empty((), dtype=dtype), logits.new_empty(parts, dtype=dtype), gradient


def stacked(values: list[float | Tensor], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Values as one tensor (n,)."""
    if not any(isinstance(value, Tensor) for value in values):
        return torch.tensor(values, dtype=dtype, device=device)
    return torch.stack([torch.as_tensor(value, dtype=dtype, device=device) for value in values])


def gradient_unit(logits: Tensor, scale: float | Tensor) -> float | Tensor:
    """What the gradient is divided by until the backward, given the scale of its largest part.

    In float16, gradients of a mean over a million pixels would vanish before a gradient scaler
    could enlarge them: the buffer holds those of the sum.
    """
    if logits.dtype != torch.float16:
        return 1.0
    if isinstance(scale, Tensor):
        return torch.where(scale == 0, torch.ones_like(scale), scale)
    return scale or 1.0
