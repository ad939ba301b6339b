"""A scalar and its gradient in one pass, as one operator and one autograd node."""

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
"""The scalar (); other values (n,), the last of which is the unit of the gradient; the gradient
with respect to the first argument in that unit, empty if it was not requested."""


class FusedOperator:
    """An operator that returns a scalar with its gradient already computed.

    The backward multiplies the gradient in place by the incoming one. That saves a second buffer of
    the size of the logits, but allows only one backward for each forward.

    Args:
        public: Name of the public function, for error messages.
        schema: ``name(Tensor logits, ...)``; it returns :data:`Results`.
        run: Computes the results.
        fake: Returns results of the same shapes with any content.
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
        """Return the results; the scalar is differentiable with respect to the first argument."""
        # A tracer records the operator. Otherwise the node is created here, which saves a dispatch.
        if is_compiling():
            call = self._operator
        # Supporting torch.func costs as much as the rest of a small call, hence the check.
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
    """Create the autograd node of an operator, and its variant for ``torch.func``."""

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
            # The gradient is an output, so that differentiating it ends up here.
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
            # Tracing, and differentiating the gradient, require a new tensor.
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
        # Comparing the factor with 1 here would wait for the device, so a kernel does it.
        from .backends.triton_loss import scale_unless_one_

        return scale_unless_one_(gradient, factor)
    return gradient.mul_(factor)


def fake_results(logits: Tensor, *arguments: Any, parts: int) -> Results:
    """Results of the right shapes, with a gradient if ``arguments[-1]`` is true."""
    dtype = arithmetic_dtype(logits)
    gradient = torch.empty_like(dense(logits)) if arguments[-1] else logits.new_empty(0)
    return logits.new_empty((), dtype=dtype), logits.new_empty(parts, dtype=dtype), gradient


def stacked(values: list[float | Tensor], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Values as one tensor (n,)."""
    if not any(isinstance(value, Tensor) for value in values):
        return torch.tensor(values, dtype=dtype, device=device)
    return torch.stack([torch.as_tensor(value, dtype=dtype, device=device) for value in values])


def gradient_unit(logits: Tensor, scale: float | Tensor) -> float | Tensor:
    """Unit in which the gradient is stored, given the scale of its largest part.

    In float16 the gradient of a mean over a million pixels would underflow before a gradient scaler
    could enlarge it, so the buffer holds the gradient of the sum.
    """
    if logits.dtype != torch.float16:
        return 1.0
    if isinstance(scale, Tensor):
        return torch.where(scale == 0, torch.ones_like(scale), scale)
    return scale or 1.0
