"""CALS-HR: multipliers that change by a fixed factor."""

from __future__ import annotations

import torch
from torch import Tensor

from ._wide_buffers import state_dtype
from .dual_statistics import DualStatistics
from .margin_rule import MarginRule

__all__ = ["SCORES", "HeuristicRule"]

SCORES = ("violation", "weighted")


class HeuristicRule(MarginRule):
    r"""Heuristic rule for the multipliers of the margin penalty :math:`\lambda_k \max(0, d_k - m)`.

    The update after every validation but the first, with its score :math:`s_k` and that of the
    previous one, is

    .. math::
        \lambda_k \leftarrow clip(\begin{cases}
            \gamma \lambda_k & s_k > \tau s_k^{before}\\
            \lambda_k / \gamma & s_k < s_k^{before} / \tau\\
            \lambda_k & \text{otherwise}\end{cases})

    All state is in buffers, so checkpoints contain it.

    Args:
        num_classes: K >= 2.
        margin: Largest admissible logit distance, in logit units.
        lambda_init: Initial value of the multipliers.
        lambda_min: Smallest value of the multipliers, > 0.
        lambda_max: Largest value of the multipliers.
        lambda_interval: Multipliers are updated at every ``lambda_interval``-th validation, counted
            from 1; each is compared with the validation just before it.
        factor: gamma > 1.
        tolerance: tau >= 1.
        score: 'violation', :math:`s_k = mean_i \max(0, d_k - m)`; or 'weighted', the same times
            :math:`\lambda_k`, as in the authors' code, where each increase raises the score and so
            favours the next.

    Attributes:
        multipliers: lambda, (K,) float.
        previous_score: s of the last validation, (K,) float, in logit units.
        num_updates: Number of validations so far, () int64.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088): the ablation
        CALS-HR.

    Example:
        >>> import torch
        >>> rule = HeuristicRule(num_classes=2, margin=1.0)
        >>> for largest in (3.0, 6.0):
        ...     statistics = rule.start_dual_epoch()
        ...     statistics.update(torch.tensor([[largest, 0.0]]))
        ...     rule.step_(statistics)
        >>> [round(value, 3) for value in rule.multipliers.tolist()]
        [0.1, 0.11]
    """

    previous_score: Tensor

    def __init__(
        self,
        num_classes: int,
        margin: float = 10.0,
        lambda_init: float = 0.1,
        lambda_min: float = 1e-6,
        lambda_max: float = 1e6,
        lambda_interval: int = 1,
        factor: float = 1.1,
        tolerance: float = 1.1,
        score: str = "violation",
    ) -> None:
        super().__init__(
            num_classes, margin, "relu", lambda_init, lambda_min, lambda_max, lambda_interval
        )
        if not lambda_min <= lambda_init <= lambda_max:
            raise ValueError(
                "lambda_min, lambda_init and lambda_max must be in ascending order, "
                f"got {lambda_min}, {lambda_init} and {lambda_max}"
            )
        if not factor > 1:
            raise ValueError(f"factor must be greater than 1, got {factor}")
        if not tolerance >= 1:
            raise ValueError(f"tolerance must be at least 1, got {tolerance}")
        if score not in SCORES:
            raise ValueError(f"score must be 'violation' or 'weighted', got {score!r}")
        self.factor = factor
        self.tolerance = tolerance
        self.score = score
        self.register_buffer("previous_score", torch.zeros(num_classes, dtype=state_dtype()))

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Multipliers for the normalised violation (d - m) / m, and a rho without effect."""
        return self.multipliers * self.margin, self.multipliers

    def curves(self) -> dict[str, Tensor]:
        """The multipliers."""
        return {"lambda": self.multipliers}

    def start_dual_epoch(self) -> DualStatistics:
        """Create statistics for one validation; ``mean_derivative`` is the mean of max(0, h)."""
        # With lambda = 0 and rho = 1, the derivative max(0, lambda + rho h) of PHR is max(0, h).
        blank = torch.zeros_like(self.multipliers)
        return DualStatistics(blank, blank + 1, self.margin, "phr", 0.0, float("inf"))

    def _update_(self, statistics: DualStatistics, validation: int) -> None:
        score = statistics.mean_derivative * self.margin
        multipliers = self.multipliers.to(score)
        if self.score == "weighted":
            score = score * multipliers
        before = self.previous_score.to(score)
        if validation >= 2 and validation % self.lambda_interval == 0:
            factor = torch.ones_like(score)
            factor[score > self.tolerance * before] = self.factor
            factor[score < before / self.tolerance] = 1 / self.factor
            self.multipliers.copy_((multipliers * factor).clamp(self.lambda_min, self.lambda_max))
        self.previous_score.copy_(score)
