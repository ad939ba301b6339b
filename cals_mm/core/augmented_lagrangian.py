"""Class-wise Lagrange multipliers and their update."""

from __future__ import annotations

import torch
from torch import Tensor

from cals_mm.functional.penalty import check_penalty

from ._wide_buffers import state_dtype
from .auto_margin import AutoMargin
from .dual_statistics import DualStatistics
from .held_out_confidence import AutoMarginStatistics
from .margin_rule import MarginRule, check_interval

__all__ = ["AugmentedLagrangian"]


class AugmentedLagrangian(MarginRule):
    r"""Augmented Lagrangian of the class-wise margin constraints.

    The update after every validation, with the multipliers and rho frozen at its start, is

    .. math::
        \lambda_k &\leftarrow clip(mean_i\, clip(P'(h_k(z_i); \lambda_k, \rho_k)))\\
        \rho_k &\leftarrow clip(\gamma \rho_k) \quad\text{where}\quad
        v_k > \tau \max(0, v_k^{before}),\; v_k = mean_i\, h_k(z_i)

    All state is in buffers, so checkpoints contain it.

    Args:
        num_classes: K >= 2.
        margin: Largest admissible logit distance, in logit units, or an :class:`AutoMargin`. An
            automatic margin is updated last, after multipliers and rho; the previous violation is
            then converted to units of the new margin, and the multipliers stay unchanged.
        penalty: 'phr', 'p2', 'p3' or 'relu'.
        lambda_min: Smallest and initial value of the multipliers, > 0.
        lambda_max: Largest value of the multipliers.
        lambda_interval: Multipliers are updated at every ``lambda_interval``-th validation, counted
            from 1.
        rho_init: Initial and smallest value of rho, > 0.
        rho_max: Largest value of rho.
        rho_interval: Rho is updated at every ``rho_interval``-th validation, from the second on.
        growth_factor: gamma > 1.
        violation_tolerance: tau in (0, 1].

    Attributes:
        multipliers: lambda, (K,) float.
        rho: Penalty coefficients, (K,) float.
        previous_violation: v of the last validation, (K,) float.
        num_updates: Number of validations so far, () int64.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3
        and Algorithm 1.

    Example:
        >>> import torch
        >>> lagrangian = AugmentedLagrangian(num_classes=2, margin=1.0)
        >>> statistics = lagrangian.start_dual_epoch()
        >>> statistics.update(torch.tensor([[3.0, 0.0]]))
        >>> lagrangian.step_(statistics)
        >>> [round(value, 3) for value in lagrangian.multipliers.tolist()]
        [0.0, 2.0]
    """

    rho: Tensor
    previous_violation: Tensor

    def __init__(
        self,
        num_classes: int,
        margin: float | AutoMargin = 10.0,
        penalty: str = "phr",
        lambda_min: float = 1e-6,
        lambda_max: float = 1e6,
        lambda_interval: int = 1,
        rho_init: float = 1.0,
        rho_max: float = 10.0,
        rho_interval: int = 10,
        growth_factor: float = 1.2,
        violation_tolerance: float = 0.9,
    ) -> None:
        super().__init__(
            num_classes,
            margin,
            check_penalty(penalty),
            lambda_min,
            lambda_min,
            lambda_max,
            lambda_interval,
        )
        if not 0 < rho_init <= rho_max:
            raise ValueError(
                f"rho_init and rho_max must satisfy 0 < rho_init <= rho_max, "
                f"got {rho_init} and {rho_max}"
            )
        check_interval("rho_interval", rho_interval)
        if not growth_factor > 1:
            raise ValueError(f"growth_factor must be greater than 1, got {growth_factor}")
        if not 0 < violation_tolerance <= 1:
            raise ValueError(f"violation_tolerance must be in (0, 1], got {violation_tolerance}")
        self.rho_init = rho_init
        self.rho_max = rho_max
        self.rho_interval = rho_interval
        self.growth_factor = growth_factor
        self.violation_tolerance = violation_tolerance
        dtype = state_dtype()
        self.register_buffer("rho", torch.full((num_classes,), float(rho_init), dtype=dtype))
        self.register_buffer("previous_violation", torch.zeros(num_classes, dtype=dtype))

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Multipliers and rho."""
        return self.multipliers, self.rho

    def curves(self) -> dict[str, Tensor]:
        """Multipliers and rho, (K,) each, and the curves of an :class:`AutoMargin`, () each."""
        curves = {"lambda": self.multipliers, "rho": self.rho}
        return curves if self.auto_margin is None else curves | self.auto_margin.curves()

    def remark(self) -> str:
        """The remark of an :class:`AutoMargin`."""
        return "" if self.auto_margin is None else self.auto_margin.remark()

    def start_dual_epoch(self) -> DualStatistics:
        """Create statistics for one validation, with the current multipliers, rho and margin."""
        statistics = DualStatistics if self.auto_margin is None else AutoMarginStatistics
        return statistics(
            self.multipliers,
            self.rho,
            self.margin,
            self.penalty_kind,
            self.lambda_min,
            self.lambda_max,
        )

    def _update_(self, statistics: DualStatistics, validation: int) -> None:
        device = self.multipliers.device
        if validation % self.lambda_interval == 0:
            derivative = statistics.mean_derivative.clamp(self.lambda_min, self.lambda_max)
            self.multipliers.copy_(derivative)
        violation = statistics.mean_violation
        if validation >= 2 and validation % self.rho_interval == 0:
            before = self.previous_violation.to(violation).clamp(min=0)
            grow = violation > self.violation_tolerance * before
            grown = (self.rho * self.growth_factor).clamp(self.rho_init, self.rho_max)
            self.rho.copy_(torch.where(grow.to(device), grown, self.rho))
        if self.auto_margin is not None:
            assert isinstance(statistics, AutoMarginStatistics)
            seen = statistics.confidence()
            if seen is not None:
                self.auto_margin.step_(seen)
            # The mean of (d - m) / m at the new margin; this is exact, as it is linear in d.
            violation = (violation + 1) * (statistics.margin / self.margin) - 1
        self.previous_violation.copy_(violation)
