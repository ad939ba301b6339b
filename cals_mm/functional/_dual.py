"""Sums over the samples of a validation, from which the multipliers are updated."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._library import define_operator
from .backends.choice import choose
from .backends.dual import DUAL_BACKENDS, DualProblem, EagerDual
from .penalty import PenaltyKind, check_penalty
from .violation import check_margin

__all__ = ["dual_sums"]


def dual_sums(
    logits: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: PenaltyKind = "phr",
    mask: Tensor | None = None,
    lambda_min: float = 1e-6,
    lambda_max: float = 1e6,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the clipped penalty derivative and the violation over samples.

    Args:
        logits: (N, K) or (N, K, ...) floating.
        multipliers: (K,).
        rho: (K,).
        margin: Largest admissible logit distance, in logit units.
        kind: Penalty function.
        mask: (N, ...) bool, true for valid samples. None means all.
        lambda_min: Lower clip of each derivative.
        lambda_max: Upper clip of each derivative.

    Logits outside the mask are not used. If logits inside it are not finite, neither are the sums;
    checking that is up to the caller.

    Returns:
        count () int64, sum of clip(P'(h)) (K,) float64, sum of h (K,) float64, on the device of
        ``logits``.

    Example:
        >>> import torch
        >>> count, slope, violation = dual_sums(
        ...     torch.tensor([[3.0, 0.0]]), torch.ones(2), torch.ones(2), margin=1.0)
        >>> int(count), slope[1].item(), violation.tolist()
        (1, 3.0, [-1.0, 2.0])
    """
    problem = DualProblem(
        logits,
        multipliers.detach(),
        rho.detach(),
        check_margin(margin),
        check_penalty(kind),
        mask,
        lambda_min,
        lambda_max,
    )
    sums: tuple[Tensor, Tensor, Tensor] = DUAL_SUMS(*problem)
    return sums


def _run(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    problem = DualProblem(*arguments)
    logits = problem.logits.detach()
    problem = problem._replace(logits=logits)
    device = logits.device
    backend = choose(DUAL_BACKENDS.get(device.type, (EagerDual(),)), problem, device)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        slope, violation = backend.run(problem)
    samples = logits.numel() // logits.shape[1]
    mask = problem.mask
    count = torch.tensor(samples, device=device) if mask is None else mask.sum()
    return count, slope, violation


def _fake(logits: Tensor, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    slope = logits.new_empty(logits.shape[1], dtype=torch.float64)
    return logits.new_empty((), dtype=torch.int64), slope, torch.empty_like(slope)


DUAL_SUMS = define_operator(
    "dual_sums(Tensor logits, Tensor multipliers, Tensor rho, float margin, str kind,"
    " Tensor? mask, float lambda_min, float lambda_max)"
    " -> (Tensor count, Tensor slope, Tensor violation)",
    _run,
    _fake,
)
""":func:`dual_sums` as an operator; its arguments are the fields of :class:`DualProblem`."""
