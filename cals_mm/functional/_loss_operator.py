"""The loss as an operator: a backend computes it together with its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from ._fused import Computed, FusedOperator, gradient_unit
from ._label_counts import refuse_label
from ._normalisation import prepare
from .backends.loss import LOSS_BACKENDS
from .backends.native import NativeLoss
from .backends.problem import LossParts, LossProblem

__all__ = ["fused_loss"]

NATIVE = NativeLoss()
BACKENDS = {
    backend.name: backend
    for row in LOSS_BACKENDS.values()
    for backend in row
    if not isinstance(backend, NativeLoss)
}


def fused_loss(problem: LossProblem, backend: str) -> tuple[Tensor, LossParts]:
    """Compute the loss, together with its gradient if one is needed.

    Args:
        problem: The loss; only ``problem.logits`` receives a gradient.
        backend: 'native', 'chunked' or 'triton'.

    Returns:
        Loss () in float32, or float64 for float64 logits, and its parts.
    """
    with_gradient = problem.logits.requires_grad and torch.is_grad_enabled()
    loss, parts = FUSED_LOSS(problem, backend, with_gradient)
    return loss, LossParts(*parts)


def _run(problem: LossProblem, name: str, with_gradient: bool) -> Computed:
    if name == "native":
        return _run_native(problem, with_gradient)
    device = problem.logits.device.type
    prepared = prepare(problem)
    unit = gradient_unit(problem.logits, prepared.entropy_scale)
    with torch.no_grad(), torch.autocast(device, enabled=False):
        sums, gradient = BACKENDS[name].run(
            prepared, with_gradient=with_gradient, gradient_unit=unit
        )
    loss = sums.entropy + problem.penalty_weight * sums.penalty
    share = sums.violated * prepared.constraint_share
    return Computed(loss, (sums.entropy, sums.penalty, share), unit, gradient)


def _run_native(problem: LossProblem, with_gradient: bool) -> Computed:
    (entropy, penalty, share, bad), gradient = NATIVE.run(problem, with_gradient=with_gradient)
    if bad >= 0:
        refuse_label(problem.target, bad, problem.logits.shape[1], problem.ignore_index)
    loss = entropy + problem.penalty_weight * penalty
    return Computed(loss, (entropy, penalty, share), 1.0, gradient)


FUSED_LOSS = FusedOperator(
    "cals_loss",
    "fused_loss(Tensor logits, Tensor target, Tensor multipliers, Tensor rho, float margin,"
    " str kind, int? ignore_index, Tensor? class_weight, float label_smoothing,"
    " bool sum_over_classes, float penalty_weight, Tensor? sample_weight, Tensor? avg_factor,"
    " str backend, bool with_gradient)",
    LossProblem,
    _run,
    parts=len(LossParts._fields),
)
"""Takes a :class:`LossProblem`, the name of a backend, and whether to compute the gradient; returns
the loss and the values of :class:`LossParts`."""
