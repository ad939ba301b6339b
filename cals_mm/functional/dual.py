"""What a validation contributes to the multipliers: sums over its samples."""

from __future__ import annotations

import torch
from torch import Tensor

from .penalty import penalty_lagrangian
from .violation import margin_violation

__all__ = ["dual_sums"]


def dual_sums(
    logits: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: str = "phr",
    mask: Tensor | None = None,
    lambda_min: float = 1e-6,
    lambda_max: float = 1e6,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over samples of the clipped penalty derivative and of the violation.

    Args:
        logits: (N, K) or (N, K, ...) floating.
        multipliers: (K,).
        rho: (K,).
        margin: Largest admissible logit distance, in logit units.
        kind: Penalty function.
        mask: (N, ...) bool of the samples that count; None: all.
        lambda_min: Lower clip of each derivative.
        lambda_max: Upper clip of each derivative.

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
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    if mask is not None:
        rows = rows[mask.reshape(-1)]
    violation = margin_violation(rows, margin)
    _, slope = penalty_lagrangian(violation, multipliers, rho, kind)
    slope = slope.clamp(lambda_min, lambda_max)
    count = torch.tensor(rows.shape[0], device=rows.device)
    return count, slope.sum(0, dtype=torch.float64), violation.sum(0, dtype=torch.float64)
