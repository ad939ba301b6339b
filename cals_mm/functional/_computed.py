"""Scalar functions that compute their gradient together with their value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["computed_with_gradient"]

Compute = Callable[[Tensor, Tensor | None], Tensor]


def computed_with_gradient(inputs: Tensor, compute: Compute) -> Tensor:
    """Make a function that computes value and gradient differentiable.

    Only one buffer of the size of the inputs is kept, which the first backward returns. A second
    backward through the same graph computes it again.

    Args:
        inputs: Any shape, floating.
        compute: Called with the detached inputs and an uninitialised tensor of their shape (None if
            no gradient is needed); writes the gradient into that tensor and returns the value ().

    Returns:
        The value; differentiable once.

    Example:
        >>> import torch
        >>> def half_square(x, gradient):
        ...     if gradient is not None:
        ...         gradient.copy_(x)
        ...     return x.square().sum() / 2
        >>> x = torch.tensor([1.0, 3.0], requires_grad=True)
        >>> value = computed_with_gradient(x, half_square)
        >>> value.item(), torch.autograd.grad(value, x)[0].tolist()
        (5.0, [1.0, 3.0])
    """
    if not (inputs.requires_grad and torch.is_grad_enabled()):
        return compute(inputs.detach(), None)
    value: Tensor = _Computed.apply(inputs, compute)
    return value


class _Computed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, compute: Compute) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.compute = compute
        ctx.gradient = torch.empty_like(inputs)
        return compute(inputs.detach(), ctx.gradient)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Any:
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            (inputs,) = ctx.saved_tensors
            gradient = torch.empty_like(inputs)
            ctx.compute(inputs.detach(), gradient)
        return gradient.mul_(slope), None
