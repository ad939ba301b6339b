"""Class-wise Lagrange multipliers and their update: the heart of CALS."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from cals_mm.functional.cals_loss import cals_loss
from cals_mm.functional.penalty import check_penalty
from cals_mm.functional.violation import check_margin, margin_violation

from .dual_statistics import DualStatistics

__all__ = ["AugmentedLagrangian"]


class AugmentedLagrangian(nn.Module):
    r"""Augmented Lagrangian of the class-wise margin constraints.

    After every validation, with the multipliers and rho that held during it:

    .. math::
        \lambda_k &\leftarrow clip(mean_i\, clip(P'(h_k(z_i); \lambda_k, \rho_k)))\\
        \rho_k &\leftarrow clip(\gamma \rho_k) \quad\text{where}\quad
        v_k > \tau \max(0, v_k^{before}),\; v_k = mean_i\, h_k(z_i)

    All state is in buffers, so checkpoints carry it.

    Args:
        num_classes: K >= 2.
        margin: Largest admissible logit distance, in logit units.
        penalty: 'phr', 'p2', 'p3' or 'relu'.
        lambda_min: Smallest and first value of the multipliers, > 0.
        lambda_max: Largest value of the multipliers.
        lambda_interval: Multipliers change at every ``lambda_interval``-th validation, counted
            from 1.
        rho_init: First and smallest value of rho, > 0.
        rho_max: Largest value of rho.
        rho_interval: Rho may change at every ``rho_interval``-th validation, from the second on.
        growth_factor: gamma > 1.
        violation_tolerance: tau in (0, 1].

    Attributes:
        multipliers: lambda, (K,) float.
        rho: Penalty coefficients, (K,) float.
        previous_violation: v of the last validation, (K,) float.
        num_updates: Number of validations so far, () int64.

    Raises:
        ValueError: For an argument out of its range.

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

    multipliers: Tensor
    rho: Tensor
    previous_violation: Tensor
    num_updates: Tensor

    def __init__(
        self,
        num_classes: int,
        margin: float = 10.0,
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
        super().__init__()
        if not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(f"num_classes must be an integer of at least 2, got {num_classes!r}")
        if not 0 < lambda_min <= lambda_max:
            raise ValueError(
                f"lambda_min and lambda_max must satisfy 0 < lambda_min <= lambda_max, "
                f"got {lambda_min} and {lambda_max}"
            )
        if not 0 < rho_init <= rho_max:
            raise ValueError(
                f"rho_init and rho_max must satisfy 0 < rho_init <= rho_max, "
                f"got {rho_init} and {rho_max}"
            )
        for name, interval in (
            ("lambda_interval", lambda_interval),
            ("rho_interval", rho_interval),
        ):
            if not isinstance(interval, int) or interval < 1:
                raise ValueError(f"{name} must be a whole number of validations, got {interval!r}")
        if not growth_factor > 1:
            raise ValueError(f"growth_factor must be greater than 1, got {growth_factor}")
        if not 0 < violation_tolerance <= 1:
            raise ValueError(f"violation_tolerance must be in (0, 1], got {violation_tolerance}")
        self.num_classes = num_classes
        self.margin = check_margin(margin)
        self.penalty_kind = check_penalty(penalty)
        self.lambda_min = lambda_min
        self.lambda_max = lambda_max
        self.lambda_interval = lambda_interval
        self.rho_init = rho_init
        self.rho_max = rho_max
        self.rho_interval = rho_interval
        self.growth_factor = growth_factor
        self.violation_tolerance = violation_tolerance
        self.register_buffer("multipliers", torch.full((num_classes,), float(lambda_min)))
        self.register_buffer("rho", torch.full((num_classes,), float(rho_init)))
        self.register_buffer("previous_violation", torch.zeros(num_classes))
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))

    def violation(self, logits: Tensor) -> Tensor:
        """Normalised violation h, of the shape of ``logits`` (N, K, ...)."""
        return margin_violation(logits, self.margin)

    def penalty(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean of the penalty over the samples that count and over classes.

        Args:
            logits: (N, K) or (N, K, ...) floating; halves are computed in float32.
            mask: (N, ...) bool of the samples that count; None: all.

        Returns:
            Scalar; 0 where no sample counts.
        """
        shape = (logits.shape[0], *logits.shape[2:])
        target = torch.zeros(shape, dtype=torch.int64, device=logits.device)
        if mask is not None:
            target = target.masked_fill(~mask, -100)
        # An infinite divisor leaves nothing of the cross entropy, so any label will do.
        penalty = cals_loss(
            logits,
            target,
            self.multipliers,
            self.rho,
            self.margin,
            kind=self.penalty_kind,
            avg_factor=float("inf"),
        )
        assert isinstance(penalty, Tensor)
        return penalty

    def start_dual_epoch(self) -> DualStatistics:
        """Statistics for one validation, under the present multipliers and rho."""
        return DualStatistics(
            self.multipliers,
            self.rho,
            self.margin,
            self.penalty_kind,
            self.lambda_min,
            self.lambda_max,
        )

    @torch.no_grad()
    def step_(self, statistics: DualStatistics) -> None:
        """Update multipliers, then rho, in place from the statistics of one validation.

        Call ``statistics.all_reduce_()`` first where there are several processes. Without any
        sample nothing changes and a warning is given.
        """
        if int(statistics.count) == 0:
            warnings.warn(
                "the validation had no valid sample: multipliers and rho stay as they are",
                stacklevel=2,
            )
            return
        device = self.multipliers.device
        validation = int(self.num_updates) + 1
        if validation % self.lambda_interval == 0:
            derivative = statistics.mean_derivative.clamp(self.lambda_min, self.lambda_max)
            self.multipliers.copy_(derivative)
        violation = statistics.mean_violation
        if validation >= 2 and validation % self.rho_interval == 0:
            before = self.previous_violation.to(violation).clamp(min=0)
            grow = violation > self.violation_tolerance * before
            grown = (self.rho * self.growth_factor).clamp(self.rho_init, self.rho_max)
            self.rho.copy_(torch.where(grow.to(device), grown, self.rho))
        self.previous_violation.copy_(violation)
        self.num_updates.fill_(validation)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"num_classes={self.num_classes}, margin={self.margin}, penalty={self.penalty_kind}"
