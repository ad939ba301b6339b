"""The loss as an operator: a backend computes it together with its gradient."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ._fused import FusedOperator, Results, fake_results, gradient_unit, stacked
from ._normalisation import arithmetic_dtype, prepare
from .backends.loss import LOSS_BACKENDS
from .backends.problem import LossParts, LossProblem

__all__ = ["fused_loss"]

BACKENDS = {backend.name: backend for row in LOSS_BACKENDS.values() for backend in row}


def fused_loss(problem: LossProblem, backend: str) -> tuple[Tensor, LossParts]:
    """Compute the loss, together with its gradient if one is needed.

    Args:
        problem: The loss; only ``problem.logits`` receives a gradient.
        backend: 'native', 'chunked' or 'triton'.

    Returns:
        Loss () in float32, or float64 for float64 logits, and its parts.
    """
    with_gradient = problem.logits.requires_grad and torch.is_grad_enabled()
    loss, parts = FUSED_LOSS(*problem, backend, with_gradient)
    return loss, LossParts(*parts.unbind()[:3])


def _run(*arguments: Any) -> Results:
    *fields, name, with_gradient = arguments
    backend = BACKENDS[name]
    problem = LossProblem(*fields)
    logits = problem.logits
    dtype = arithmetic_dtype(logits)
    prepared = prepare(problem, by_label=backend.by_label)
    unit = gradient_unit(logits, prepared.entropy_scale)
    if name == "native":
        sums, gradient = backend.run(prepared, with_gradient=with_gradient, gradient_unit=unit)
    else:
        with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
            sums, gradient = backend.run(prepared, with_gradient=with_gradient, gradient_unit=unit)
    loss = sums.entropy + prepared.penalty_weight * sums.penalty
    share = sums.violated * prepared.constraint_share
    parts = stacked([sums.entropy, sums.penalty, share, unit], dtype, logits.device)
    loss = loss.to(dtype) if isinstance(loss, Tensor) else torch.scalar_tensor(loss, dtype=dtype)
    return loss, parts, logits.new_empty(0) if gradient is None else gradient


FUSED_LOSS = FusedOperator(
    "cals_loss",
    "fused_loss(Tensor logits, Tensor target, Tensor multipliers, Tensor rho, float margin,"
    " str kind, int? ignore_index, Tensor? class_weight, float label_smoothing,"
    " bool sum_over_classes, float penalty_weight, Tensor? sample_weight, Tensor? avg_factor,"
    " str backend, bool with_gradient)",
    _run,
    partial(fake_results, parts=len(LossParts._fields) + 1),
)
"""Takes the fields of :class:`LossProblem`, the name of a backend, and whether to compute the
gradient; returns the loss and the values of :class:`LossParts`."""
