"""The loss in plain tensor algebra: slow but short, the reference for the other backends."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..penalty import penalty_lagrangian
from ..violation import margin_violation
from .problem import LossProblem, LossSums, PreparedLoss

__all__ = ["EagerLoss"]

IGNORED = -100
"""Label without cross entropy."""


class EagerLoss:
    """Supports every loss on any device."""

    name = "eager"

    def covers(self, problem: LossProblem) -> bool:
        """True."""
        return True

    def run(
        self,
        problem: PreparedLoss,
        *,
        with_gradient: bool = False,
        gradient_unit: float | Tensor = 1.0,
    ) -> tuple[LossSums, None]:
        """Compute the loss; autograd can differentiate it twice.

        Args:
            problem: The loss; logits of half precision are widened to float32.
            with_gradient: Not used; the gradient is left to autograd.
            gradient_unit: Not used.

        Returns:
            Sums in the dtype of the arithmetic, and no gradient.
        """
        logits, target, valid = problem.logits, problem.target, problem.valid
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        if valid is not None:
            target = target.masked_fill(~valid, IGNORED)
        entropy = F.cross_entropy(
            logits,
            target.to(logits.dtype) if problem.soft else target,
            weight=problem.class_weight,
            ignore_index=IGNORED,
            reduction="none",
            label_smoothing=problem.label_smoothing,
        )
        if problem.sample_weight is not None:
            weight = problem.sample_weight
            # torch.where, not a product: a padded pixel may have any weight, and 0 x inf is not 0.
            entropy = entropy * (weight if valid is None else torch.where(valid, weight, 0))
        violation = margin_violation(logits, problem.margin)
        penalty, _ = penalty_lagrangian(
            violation, problem.multipliers, problem.rho, problem.kind, dim=1
        )
        violated = violation > 0
        if valid is not None:
            penalty = torch.where(valid.unsqueeze(1), penalty, penalty.new_zeros(()))
            violated = violated & valid.unsqueeze(1)
        sums = LossSums(
            entropy.sum() * problem.entropy_scale,
            penalty.sum() * problem.penalty_scale,
            violated.sum(),
        )
        return sums, None
