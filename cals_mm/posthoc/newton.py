"""Minimum of a smooth convex function of a few variables."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["newton_minimise"]

_SUFFICIENT = 1e-4
"""Share of the decrease predicted by the slope that a step must achieve."""
_SHORTEST = 2.0**-30


def newton_minimise(
    evaluate: Callable[[Tensor], tuple[float, Tensor, Tensor]],
    start: Tensor,
    max_steps: int = 50,
    tolerance: float = 1e-10,
) -> Tensor:
    """Newton's method with backtracking: every accepted step lowers the value.

    Args:
        evaluate: Returns value, gradient (P,) and positive definite Hessian (P, P), all float64, at
            a point (P,). A value of inf means that the point is outside the domain; gradient and
            Hessian are then ignored.
        start: (P,) float64, inside the domain.
        max_steps: Largest number of steps; about ten are needed.
        tolerance: Stop when the predicted decrease of the value is smaller than this.

    Returns:
        The minimum, (P,) float64.

    Reference:
        Boyd and Vandenberghe, Convex Optimization, 2004, Algorithms 9.2 and 9.5.

    Example:
        >>> import torch
        >>> def bowl(x):
        ...     return float((x - 3).square().sum()), 2 * (x - 3), 2 * torch.eye(2).double()
        >>> newton_minimise(bowl, torch.zeros(2).double())
        tensor([3., 3.], dtype=torch.float64)
    """
    point = start
    value, gradient, hessian = evaluate(point)
    for _ in range(max_steps):
        step = -torch.linalg.solve(hessian, gradient)
        slope = float(gradient @ step)
        if not -slope / 2 > tolerance:
            break
        length = 1.0
        while length > _SHORTEST:
            candidate = point + length * step
            new = evaluate(candidate)
            if new[0] <= value + _SUFFICIENT * length * slope:
                break
            length /= 2
        else:  # rounding hides what is left to gain
            break
        point, (value, gradient, hessian) = candidate, new
    return point
