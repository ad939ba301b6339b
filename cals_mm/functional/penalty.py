"""Penalty-Lagrangian functions P(h; lambda, rho) and their derivatives with respect to h."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["PENALTIES", "PenaltyKind", "check_penalty", "penalty_lagrangian"]

PenaltyKind = Literal["phr", "p2", "p3", "relu"]

PENALTIES: tuple[PenaltyKind, ...] = get_args(PenaltyKind)
"""Names of the penalty functions of :func:`penalty_lagrangian`."""


def check_penalty(kind: str) -> PenaltyKind:
    """Return ``kind`` if it is the name of a penalty.

    Raises:
        ValueError: For an unknown penalty.
    """
    if kind not in PENALTIES:
        raise ValueError(f"unknown penalty {kind!r}; choose one of {', '.join(PENALTIES)}")
    return kind


def penalty_lagrangian(
    violation: Tensor, multipliers: Tensor, rho: Tensor, kind: str = "phr", *, dim: int = -1
) -> tuple[Tensor, Tensor]:
    r"""Compute a penalty-Lagrangian function and its derivative by the violation, elementwise.

    * ``'phr'``: :math:`P = (\max(0, \lambda + \rho h)^2 - \lambda^2) / (2\rho)`
    * ``'p2'``: :math:`\lambda h + \lambda\rho h^2 + \rho^2 h^3 / 6` for :math:`h \ge 0`, else
      :math:`\lambda h / (1 - \rho h)`
    * ``'p3'``: :math:`\lambda h + \lambda\rho h^2` for :math:`h \ge 0`, else as ``'p2'``
    * ``'relu'``: :math:`\lambda \max(0, h)` (ablation; rho is not used)

    Args:
        violation: Violations h of any shape with K classes along ``dim``.
        multipliers: Lagrange multipliers lambda >= 0, of shape (K,), or of the shape of
            ``violation`` if each sample has its own.
        rho: Penalty coefficients > 0, shape (K,).
        kind: One of ``PENALTIES``.
        dim: The class dimension of ``violation``.

    Returns:
        The value P and the derivative P', each of the shape of ``violation``.

    Raises:
        ValueError: For an unknown penalty.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3;
        Birgin et al., Numerical comparison of augmented Lagrangian algorithms for nonconvex
        problems, Computational Optimization and Applications, 2005 (PHR, P2, P3).

    Example:
        >>> import torch
        >>> value, slope = penalty_lagrangian(
        ...     torch.tensor([-1.0, 1.0]), torch.tensor([0.5, 0.5]), torch.tensor([1.0, 1.0]))
        >>> value, slope
        (tensor([-0.1250,  1.0000]), tensor([0.0000, 1.5000]))
    """
    check_penalty(kind)
    shape = [1] * violation.ndim
    shape[dim] = -1
    lam = multipliers.to(violation.dtype)
    lam = lam.view(shape) if lam.ndim == 1 else lam
    rho = rho.to(violation.dtype).view(shape)
    h = violation
    if kind == "phr":
        # The active branch is expanded, so that nothing cancels if lambda is large.
        slope = (lam + rho * h).clamp(min=0)
        # If the slope is NaN, so is the value.
        return torch.where(slope == 0, -(lam**2) / (2 * rho), h * (lam + 0.5 * rho * h)), slope
    active = h >= 0
    if kind == "relu":
        slope = torch.where(active, lam, torch.zeros_like(lam))
        return slope * h, slope
    # Each branch gets a harmless 0 where the other one applies, so that no NaN reaches the
    # gradient. Not by clamp: its derivative in autograd is 0 at the bound, which is h = 0 here.
    zero = torch.zeros_like(h)
    up, down = torch.where(active, h, zero), torch.where(active, zero, h)
    inner = 1 / (1 - rho * down)
    value_up, slope_up = lam * up * (1 + rho * up), lam * (1 + 2 * rho * up)
    if kind == "p2":
        value_up, slope_up = value_up + rho**2 * up**3 / 6, slope_up + 0.5 * (rho * up) ** 2
    return (
        torch.where(active, value_up, lam * down * inner),
        torch.where(active, slope_up, lam * inner**2),
    )
