"""A scalar and its gradient in one pass, as one operator and one autograd node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ._library import define_operator, is_compiling, is_real
from ._normalisation import arithmetic_dtype
from .backends.installed import has_triton
from .backends.tiles import dense

__all__ = ["Computed", "FusedOperator", "gradient_unit", "scalars"]

Number = float | Tensor
"""A float, or a tensor () where reading its value would be slow or impossible."""

Results = tuple[Tensor, Tensor, Tensor]
"""What the operator returns: the scalar (); its parts (n,), the last of which is the unit of the
gradient; the gradient with respect to the first argument in that unit, empty if not requested."""


class Computed(NamedTuple):
    """A scalar that was computed together with its gradient."""

    value: Number
    """The scalar."""
    parts: Sequence[Number]
    """Other values."""
    unit: Number
    """Unit of the gradient, see :func:`gradient_unit`."""
    gradient: Tensor | None
    """Gradient with respect to the logits, in that unit. None if it was not requested."""


class FusedOperator:
    """An operator that returns a scalar with its gradient already computed.

    The backward multiplies the gradient in place by the incoming one. That saves a second buffer of
    the size of the logits, but allows only one backward for each forward.

    Args:
        public: Name of the public function, for error messages.
        schema: ``name(Tensor logits, ..., bool with_gradient)``: the fields of the problem, then
            the options; the operator returns :data:`Results`.
        problem: Type of the problem, a named tuple that begins with the logits.
        run: Computes the scalar of a problem, given the options.
        parts: Number of other values.
    """

    def __init__(
        self,
        public: str,
        schema: str,
        problem: Any,
        run: Callable[..., Computed],
        *,
        parts: int,
    ) -> None:
        self._problem = problem
        self._fields = len(problem._fields)
        self._run = run
        self._node = _node(public)
        self._traced_node = _traced_node(public, self._below_autograd)
        self._operator = define_operator(
            f"{schema} -> (Tensor value, Tensor parts, Tensor gradient)",
            self._results,
            partial(_fake_results, parts=parts + 1),
            autograd=lambda *arguments: self._traced_node.apply(*arguments),
        )

    def __call__(self, problem: Any, *options: Any) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the scalar, differentiable with respect to the logits, and the other values.

        The last option tells whether to compute the gradient.
        """
        if is_compiling():  # the tracer records the operator
            value, parts, _ = self._operator(*problem, *options)
        elif torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
            value, parts, _ = self._traced_node.apply(*problem, *options)
        elif is_real(problem):
            # Not through the dispatcher, which costs a small batch several percent.
            computed = self._run(problem, *options)
            value, *others = scalars((computed.value, *computed.parts), problem[0])
            if computed.gradient is not None:
                value = self._node.apply(problem[0], (value, computed.unit, computed.gradient))
            return value, others
        else:
            value, parts, gradient = self._below_autograd(*problem, *options)
            if options[-1]:
                value = self._node.apply(problem[0], (value, parts[-1], gradient))
        return value, parts.unbind()[:-1]

    def _below_autograd(self, *arguments: Any) -> Results:
        with torch._C._AutoDispatchBelowAutograd():
            results: Results = self._operator(*arguments)
        return results

    def _results(self, *arguments: Any) -> Results:
        problem = self._problem(*arguments[: self._fields])
        computed = self._run(problem, *arguments[self._fields :])
        logits = problem[0]
        value, *parts = scalars((computed.value, *computed.parts, computed.unit), logits)
        gradient = logits.new_empty(0) if computed.gradient is None else computed.gradient
        return value, torch.stack(parts), gradient


def _node(public: str) -> Any:
    """Create the autograd node of a scalar whose gradient is already computed."""

    class Node(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, logits: Tensor, computed: tuple[Tensor, Number, Tensor]) -> Tensor:
            # Passed in a tuple: an input returned as it is would be a view, which must not be
            # changed in place.
            value, unit, gradient = computed
            ctx.dtype, ctx.used = logits.dtype, False
            ctx.unit = unit if gradient.dtype == torch.float16 else None
            ctx.save_for_backward(gradient)
            ctx.set_materialize_grads(False)
            return value

        @staticmethod
        def backward(ctx: Any, grad_value: Tensor | None) -> Any:
            if torch.is_grad_enabled():
                raise RuntimeError(_not_twice(public, " (create_graph=True)"))
            if grad_value is None:
                return None, None
            if ctx.used:
                raise RuntimeError(
                    f"second backward through one {public}: its gradient buffer has been handed "
                    f"out; call {public} again, or set CALS_MM_BACKEND=eager"
                )
            (gradient,) = ctx.saved_tensors
            factor = grad_value if ctx.unit is None else grad_value * ctx.unit
            if type(gradient) is not Tensor:  # a fake tensor has no value to read
                return (gradient * factor).to(ctx.dtype), None
            ctx.used = True
            scaled = _scale_(gradient, factor)
            return scaled if scaled.dtype == ctx.dtype else scaled.to(ctx.dtype), None

    return Node


def _traced_node(public: str, compute: Callable[..., Results]) -> Any:
    """Create the node for tracers and ``torch.func``: without state, and slower."""

    class TracedNode(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*arguments: Any) -> Results:
            return compute(*arguments)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Results) -> None:
            _, parts, gradient = output
            ctx.arguments, ctx.dtype = len(inputs), inputs[0].dtype
            ctx.mark_non_differentiable(parts)
            ctx.save_for_backward(gradient, parts)
            ctx.set_materialize_grads(False)

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
                raise RuntimeError(_not_twice(public))
            nothing = (None,) * (ctx.arguments - 1)
            if grad_value is None:
                return None, *nothing
            gradient, parts = ctx.saved_tensors
            factor = grad_value * parts[-1] if gradient.dtype == torch.float16 else grad_value
            return (gradient * factor).to(ctx.dtype), *nothing

    return TracedNode


def _not_twice(public: str, how: str = "") -> str:
    return (
        f"{public} is not differentiable twice{how}; set CALS_MM_BACKEND=eager for the slower "
        "backend that is"
    )


def _scale_(gradient: Tensor, factor: Tensor) -> Tensor:
    if gradient.is_cpu:
        value = float(factor)
        return gradient if value == 1 else gradient.mul_(value)
    if gradient.is_cuda and has_triton():
        # Comparing the factor with 1 here would wait for the device, so a kernel does it.
        from .backends.triton_loss import scale_unless_one_

        return scale_unless_one_(gradient, factor)
    return gradient.mul_(factor)


def _fake_results(logits: Tensor, *arguments: Any, parts: int) -> Results:
    """Results of the right shapes, with a gradient if ``arguments[-1]`` is true."""
    dtype = arithmetic_dtype(logits)
    gradient = torch.empty_like(dense(logits)) if arguments[-1] else logits.new_empty(0)
    return logits.new_empty((), dtype=dtype), logits.new_empty(parts, dtype=dtype), gradient


def scalars(numbers: Iterable[Number], logits: Tensor) -> list[Tensor]:
    """Numbers as detached tensors () on the device of the logits, in the arithmetic's dtype."""
    dtype = arithmetic_dtype(logits)
    if logits.is_cpu:
        return [
            number.detach().to(dtype)
            if isinstance(number, Tensor)
            else torch.scalar_tensor(number, dtype=dtype)
            for number in numbers
        ]
    return [
        torch.as_tensor(number, dtype=dtype, device=logits.device).detach() for number in numbers
    ]


def gradient_unit(logits: Tensor, scale: Number) -> Number:
    """Unit in which the gradient is stored, given the scale of its largest part.

    In float16 the gradient of a mean over a million pixels would underflow before a gradient scaler
    could enlarge it, so the buffer holds the gradient of the sum.
    """
    if logits.dtype != torch.float16:
        return 1.0
    if isinstance(scale, Tensor):
        return torch.where(scale == 0, torch.ones_like(scale), scale)
    return scale or 1.0
