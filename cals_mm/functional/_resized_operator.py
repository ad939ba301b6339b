"""Loss of resized logits and its gradient, as one operator and one autograd node."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._fused import Computed, FusedOperator
from ._normalisation import prepare
from .backends.banded import banded_resized_loss
from .backends.native_resized import native_resized_loss
from .backends.problem import LossProblem, PreparedLoss
from .backends.resized import ResizedProblem, ResizedSums

__all__ = ["RESIZED_LOSS", "fused_resized_loss", "resized_parts", "stand_in"]


def fused_resized_loss(
    problem: LossProblem, align_corners: bool, backend: str
) -> tuple[Tensor, Sequence[Tensor]]:
    """Compute the loss, together with its gradient if one is needed.

    Args:
        problem: The loss; its logits (N, K, h, w) in float32 or float64 are those before resizing,
            and only they receive a gradient.
        align_corners: As for :func:`cals_mm.functional.upsampled_cals_loss`.
        backend: 'native', 'chunked' or 'triton'.

    Returns:
        Loss (), and :func:`resized_parts`.
    """
    with_gradient = problem.logits.requires_grad and torch.is_grad_enabled()
    return RESIZED_LOSS(problem, align_corners, backend, with_gradient)


def stand_in(logits: Tensor, target: Tensor) -> Tensor:
    """Logits of the resized shape without memory, for checks and divisors."""
    return logits.detach().new_empty(1).expand(*logits.shape[:2], *target.shape[1:])


def resized_parts(prepared: PreparedLoss, sums: ResizedSums) -> tuple[float | Tensor, ...]:
    """Cross entropy, penalty, share of violated constraints and accuracy."""
    share = prepared.constraint_share
    valid = share * prepared.logits.shape[1]
    accuracy = sums.correct * valid
    # 1 if no pixel is valid, as in mmsegmentation.
    if isinstance(valid, Tensor):
        accuracy = torch.where(valid > 0, accuracy, 1.0)
    elif valid == 0:
        accuracy = 1.0
    return sums.entropy, sums.penalty, sums.violated * share, accuracy


def _run(problem: LossProblem, align_corners: bool, backend: str, with_gradient: bool) -> Computed:
    logits = problem.logits
    full = problem._replace(logits=stand_in(logits, problem.target))
    prepared = prepare(full, by_label=backend == "native")._replace(logits=logits)
    resized = ResizedProblem(prepared, align_corners)
    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
        if backend == "native":
            sums, gradient = native_resized_loss(resized, with_gradient=with_gradient)
        else:
            sums, gradient = banded_resized_loss(
                resized, with_gradient=with_gradient, triton=backend == "triton"
            )
        loss = sums.entropy + problem.penalty_weight * sums.penalty
        return Computed(loss, resized_parts(prepared, sums), 1.0, gradient)


RESIZED_LOSS = FusedOperator(
    "upsampled_cals_loss",
    "fused_resized_loss(Tensor logits, Tensor target, Tensor multipliers, Tensor rho, float margin,"
    " str kind, int? ignore_index, Tensor? class_weight, float label_smoothing,"
    " bool sum_over_classes, float penalty_weight, Tensor? sample_weight, Tensor? avg_factor,"
    " bool align_corners, str backend, bool with_gradient)",
    LossProblem,
    _run,
    parts=4,
)
"""Takes a :class:`LossProblem`, ``align_corners``, the name of a backend and whether to
compute the gradient; returns the loss and :func:`resized_parts`."""
