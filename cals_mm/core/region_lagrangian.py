"""Multipliers for each class in the interior of objects and at their boundaries."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cals_mm.functional._samples import as_samples
from cals_mm.functional.crac import REGIONS, CRaCProblem, region_sums

from ._reduce import sum_over_processes_
from .augmented_lagrangian import AugmentedLagrangian
from .dual_statistics import NonFiniteLogitsError

__all__ = ["RegionLagrangian", "RegionStatistics"]


class RegionStatistics:
    """Sums of violations and penalty derivatives over the pixels of one validation, by region.

    Created by :meth:`RegionLagrangian.start_dual_epoch`, with a copy of the state.

    Args:
        lagrangian: Multipliers and rho to use during the validation.
    """

    def __init__(self, lagrangian: RegionLagrangian) -> None:
        self.multipliers = lagrangian.multipliers.detach().clone()
        self.rho = lagrangian.rho.detach().clone()
        self.margin, self.padding = lagrangian.margin, lagrangian.padding
        self.lambda_max = lagrangian.lambda_max
        device = "cpu" if self.rho.device.type == "mps" else self.rho.device
        self.pixels = torch.zeros(len(REGIONS), dtype=torch.int64, device=device)
        """Number of pixels of each region."""
        self.sum_derivative = torch.zeros(self.rho.shape, dtype=torch.float64, device=device)
        self.sum_violation = torch.zeros_like(self.sum_derivative)

    @property
    def count(self) -> Tensor:
        """Number of pixels, () int64."""
        return self.pixels.sum()

    @torch.no_grad()
    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            logits: (N, K, H, W), any floating dtype.
            mask: (N, H, W) bool, true for valid pixels. None means all.
            target: Labels (N, H, W) int64; required.

        Raises:
            ValueError: If labels are missing or shapes do not fit.
            NonFiniteLogitsError: If a logit of a valid pixel is NaN or infinite. The sums then stay
                unchanged.
        """
        if target is None:
            raise ValueError("the regions follow from the labels: pass target")
        if logits.ndim != 4 or logits.shape[1] != self.rho.shape[1]:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}, but the multipliers are for "
                f"(N, {self.rho.shape[1]}, H, W)"
            )
        ignored = None if mask is None else -1
        target = target if mask is None else target.long().masked_fill(~mask, -1)
        samples = as_samples(logits.detach(), target, ignored)
        problem = CRaCProblem(samples, self.margin, self.padding)
        pixels, derivative, violation = region_sums(
            problem, self.multipliers, self.rho, self.lambda_max
        )
        if not torch.isfinite(violation).all():
            raise NonFiniteLogitsError()
        device = self.pixels.device
        self.pixels += pixels.to(device)
        self.sum_derivative += derivative.to(device)
        self.sum_violation += violation.to(device)

    def reset_(self) -> None:
        """Forget all pixels; keep the frozen multipliers and rho."""
        for tensor in (self.pixels, self.sum_derivative, self.sum_violation):
            tensor.zero_()

    def all_reduce_(self) -> RegionStatistics:
        """Add up the sums of all processes; no-op without a process group."""
        sum_over_processes_((self.pixels, self.sum_derivative, self.sum_violation))
        return self

    @property
    def mean_derivative(self) -> Tensor:
        """Mean of the clipped derivative over all pixels, (2, K) float64.

        The constraint does not apply to pixels of the other region: there h = 0, and the derivative
        is the multiplier.
        """
        elsewhere = (self.count - self.pixels)[:, None] * self.multipliers.to(self.sum_derivative)
        return (self.sum_derivative + elsewhere) / self.count.clamp(min=1)

    @property
    def mean_violation(self) -> Tensor:
        """Sum of the violation in a region divided by the number of all pixels, (2, K) float64."""
        return self.sum_violation / self.count.clamp(min=1)


class RegionLagrangian(AugmentedLagrangian):
    r"""Augmented Lagrangian of CRaC: multipliers and rho of each region and class.

    After every validation, lambda becomes the clipped mean over its N valid pixels of the penalty's
    clipped derivative, with the multipliers and rho frozen at its start. This is

    .. math:: \lambda_{rk} \leftarrow clip\Big(\lambda_{rk}
              + \frac{\rho_{rk}}{N} \sum_{i \in r} h_{ik}\Big)

    if no clipping is active. Violations are never negative, so lambda never decreases. Rho grows as
    in :class:`AugmentedLagrangian`, based on the means :math:`v_{rk} = \frac1N \sum_{i \in r}
    h_{ik}`.

    Args:
        num_classes: K >= 2.
        margin: Target logit of the label in the interior, in logit units.
        padding: Treatment of pixels outside the image: 'labelled' leaves them out, 'zeros' gives
            them class 0.
        rho_init: Initial and smallest value of rho.
        settings: Further arguments of :class:`AugmentedLagrangian`, except ``penalty``.

    Attributes:
        multipliers: lambda of the interior and of the boundary, (2, K) float.
        rho: Penalty coefficients, (2, K) float.
        previous_violation: v of the last validation, (2, K) float.
        num_updates: Number of validations so far, () int64.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Murugesan et al., Class and Region-Adaptive Constraints for Network Calibration, MICCAI
        2024 (arXiv 2403.12364).

    Example:
        >>> import torch
        >>> lagrangian = RegionLagrangian(num_classes=2, margin=1.0)
        >>> statistics = lagrangian.start_dual_epoch()
        >>> logits = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 4)
        >>> statistics.update(logits, target=torch.tensor([[[0, 0, 0, 1]]]))
        >>> lagrangian.step_(statistics)
        >>> lagrangian.multipliers.round(decimals=3)
        tensor([[0.1000, 0.0000],
                [0.1210, 0.0210]])
    """

    def __init__(
        self,
        num_classes: int,
        margin: float = 5.0,
        padding: str = "labelled",
        rho_init: float = 0.1,
        **settings: Any,
    ) -> None:
        super().__init__(num_classes, margin, rho_init=rho_init, **settings)
        if padding not in ("labelled", "zeros"):
            raise ValueError(f"padding must be 'labelled' or 'zeros', got {padding!r}")
        self.padding = padding
        for name in ("multipliers", "rho", "previous_violation"):
            value = self.get_buffer(name)
            self.register_buffer(name, value.expand(len(REGIONS), -1).clone())

    def start_dual_epoch(self) -> Any:
        """Create :class:`RegionStatistics` with the current multipliers and rho."""
        return RegionStatistics(self)

    def curves(self) -> dict[str, Tensor]:
        """Multipliers and rho of each region, (K,) each."""
        multipliers = zip(REGIONS, self.multipliers, strict=True)
        curves = {f"lambda_{region}": values for region, values in multipliers}
        return curves | {f"rho_{r}": values for r, values in zip(REGIONS, self.rho, strict=True)}
