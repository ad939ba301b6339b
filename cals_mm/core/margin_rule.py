"""Base class of the rules that update the multipliers of the margin constraints."""

from __future__ import annotations

import torch
from torch import Tensor

from cals_mm.functional.margin_penalty import margin_penalty
from cals_mm.functional.penalty import check_penalty
from cals_mm.functional.violation import check_margin, margin_violation

from ._wide_buffers import state_dtype
from .auto_margin import AutoMargin
from .learned_state import LearnedState

__all__ = ["MarginRule", "check_interval"]


class MarginRule(LearnedState):
    """Class-wise multipliers of the margin constraints, and a rule that updates them.

    A subclass defines how the multipliers weight the penalty (:meth:`coefficients`), and the
    methods of :class:`LearnedState`.

    Args:
        num_classes: K >= 2.
        margin: Largest admissible logit distance, in logit units, or an
            :class:`AutoMargin`.
        penalty_kind: Penalty function of :func:`cals_mm.functional.margin_penalty`.
        lambda_init: Initial value of the multipliers.
        lambda_min: Smallest value of the multipliers, > 0.
        lambda_max: Largest value of the multipliers.
        lambda_interval: Multipliers are updated at every ``lambda_interval``-th validation, counted
            from 1.

    Raises:
        ValueError: For an invalid argument.
    """

    multipliers: Tensor

    def __init__(
        self,
        num_classes: int,
        margin: float | AutoMargin,
        penalty_kind: str,
        lambda_init: float,
        lambda_min: float,
        lambda_max: float,
        lambda_interval: int,
    ) -> None:
        super().__init__()
        if not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(f"num_classes must be an integer of at least 2, got {num_classes!r}")
        if not 0 < lambda_min <= lambda_max:
            raise ValueError(
                f"lambda_min and lambda_max must satisfy 0 < lambda_min <= lambda_max, "
                f"got {lambda_min} and {lambda_max}"
            )
        check_interval("lambda_interval", lambda_interval)
        self.num_classes = num_classes
        self.auto_margin = margin if isinstance(margin, AutoMargin) else None
        self._margin = 0.0 if isinstance(margin, AutoMargin) else check_margin(margin)
        self.penalty_kind = check_penalty(penalty_kind)
        self.lambda_min = lambda_min
        self.lambda_max = lambda_max
        self.lambda_interval = lambda_interval
        first = torch.full((num_classes,), float(lambda_init), dtype=state_dtype())
        self.register_buffer("multipliers", first)

    @property
    def margin(self) -> float:
        """Current largest admissible logit distance, in logit units."""
        return self._margin if self.auto_margin is None else self.auto_margin.value

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Multipliers and rho for the penalty function, (K,) each."""
        raise NotImplementedError

    def violation(self, logits: Tensor) -> Tensor:
        """Normalised violation h, of the shape of ``logits`` (N, K, ...)."""
        return margin_violation(logits, self.margin)

    def penalty(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean of the penalty over valid samples and over classes.

        Args:
            logits: (N, K) or (N, K, ...) floating; half precision is computed in float32.
            mask: (N, ...) bool, true for valid samples. None means all.

        Returns:
            Scalar; 0 if no sample is valid.
        """
        return margin_penalty(
            logits, *self.coefficients(), self.margin, kind=self.penalty_kind, mask=mask
        )

    def extra_repr(self) -> str:
        """Arguments shown by ``print``."""
        return f"num_classes={self.num_classes}, margin={self.margin}, penalty={self.penalty_kind}"


def check_interval(name: str, interval: int) -> None:
    """Raise ``ValueError`` unless it is a number of validations."""
    if not isinstance(interval, int) or interval < 1:
        raise ValueError(f"{name} must be a whole number of validations, got {interval!r}")
