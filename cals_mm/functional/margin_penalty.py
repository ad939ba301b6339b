"""The class-adaptive penalty without a cross entropy."""

from __future__ import annotations

import torch
from torch import Tensor

from ._fused import Computed, FusedOperator, gradient_unit
from ._normalisation import arithmetic_dtype, check_coefficients, check_logits, inverse
from .backends.penalty import PENALTY_BACKENDS, EagerPenalty, choose_penalty
from .backends.penalty_problem import PenaltyProblem
from .penalty import PenaltyKind, check_penalty
from .violation import check_margin

__all__ = ["margin_penalty", "penalty_and_share"]

BACKENDS = {backend.name: backend for row in PENALTY_BACKENDS.values() for backend in row}


def margin_penalty(
    logits: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: PenaltyKind = "phr",
    mask: Tensor | None = None,
) -> Tensor:
    r"""Mean of the penalty-Lagrangian of the margin constraints over samples and classes.

    .. math:: \frac{1}{|V| K} \sum_{i \in V}\sum_k P(h_k(z_i); \lambda_k, \rho_k)

    This is the penalty of :func:`cals_loss`, to be added to other losses. Arithmetic is in float32,
    also under autocast, or in float64 for float64 logits.

    Args:
        logits: (N, K) or (N, K, ...) floating.
        multipliers: Lagrange multipliers lambda, (K,); they receive no gradient.
        rho: Penalty coefficients, (K,); they receive no gradient.
        margin: Largest admissible logit distance, in logit units.
        kind: Penalty function: 'phr', 'p2', 'p3' or 'relu'.
        mask: (N, ...) bool, true for the valid samples V; other logits are not used. None means
            all.

    Returns:
        Scalar. Zero with a zero gradient if no sample is valid.

    Raises:
        ValueError: If shapes do not fit, or for an invalid margin or penalty.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3.

    Example:
        >>> import torch
        >>> penalty = margin_penalty(
        ...     torch.tensor([[3.0, 0.0]]), torch.ones(2), torch.ones(2), margin=1.0)
        >>> print(f"{penalty:.2f}")  # h is -1 and 2, P(h) = ((1 + h)^2 - 1) / 2
        1.75
    """
    return penalty_and_share(logits, multipliers, rho, margin, kind=kind, mask=mask)[0]


def penalty_and_share(
    logits: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float,
    *,
    kind: PenaltyKind = "phr",
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`margin_penalty`, and the share () of violated constraints for the log."""
    check_logits(logits)
    check_coefficients(logits.shape[1], multipliers, rho)
    expected = (logits.shape[0], *logits.shape[2:])
    if mask is not None and (mask.shape != expected or mask.dtype != torch.bool):
        raise ValueError(
            f"mask must be bool of shape {expected}, got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    problem = PenaltyProblem(
        logits,
        multipliers.detach().to(logits.device),
        rho.detach().to(logits.device),
        check_margin(margin),
        check_penalty(kind),
        mask,
    )
    backend = choose_penalty(problem)
    if backend.name != "eager":
        with_gradient = logits.requires_grad and torch.is_grad_enabled()
        penalty, parts = PENALTY(problem, backend.name, with_gradient)
        return penalty, parts[0]
    with torch.autocast(logits.device.type, enabled=False):
        sums, _ = EagerPenalty().run(problem)
        share = _share(problem, traced=True)
        violated = torch.as_tensor(sums.violated).to(arithmetic_dtype(logits))
        return torch.as_tensor(sums.penalty * share), (violated * share).detach()


def _share(problem: PenaltyProblem, *, traced: bool = False) -> float | Tensor:
    """The share of one valid constraint: 1 / (samples x classes), or 0."""
    logits, mask = problem.logits, problem.mask
    num_classes = logits.shape[1]
    count: float | Tensor = float(logits.numel() // num_classes)
    if mask is not None:
        count = mask.sum().to(arithmetic_dtype(logits))
        count = float(count) if mask.is_cpu and not traced else count
    return inverse(count) / num_classes


def _run(problem: PenaltyProblem, name: str, with_gradient: bool) -> Computed:
    logits = problem.logits
    share = _share(problem)
    unit = gradient_unit(logits, share * logits.shape[1])
    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
        sums, gradient = BACKENDS[name].run(
            problem, with_gradient=with_gradient, scale=share / unit
        )
    return Computed(sums.penalty * share, (sums.violated * share,), unit, gradient)


PENALTY = FusedOperator(
    "margin_penalty",
    "margin_penalty(Tensor logits, Tensor multipliers, Tensor rho, float margin, str kind,"
    " Tensor? mask, str backend, bool with_gradient)",
    PenaltyProblem,
    _run,
    parts=1,
)
"""Takes a :class:`PenaltyProblem`, the name of a backend, and whether to compute the gradient;
returns the penalty and the share of violated constraints."""
