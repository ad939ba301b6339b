"""Multipliers of each class in the interior of objects and at their boundaries."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cals_mm.functional._regions import boundary_pixels, check_size

from .augmented_lagrangian import AugmentedLagrangian
from .dual_statistics import DualStatistics
from .learned_state import LearnedState

__all__ = ["REGIONS", "RegionLagrangian", "RegionStatistics", "region_masks"]

REGIONS = ("interior", "boundary")


def region_masks(target: Tensor, size: int = 3, mask: Tensor | None = None) -> tuple[Tensor, ...]:
    """Masks of the pixels in each of ``REGIONS``; together they are the pixels that count.

    Args:
        target: Labels (N, H, W), integers; those that do not count may hold anything.
        size: Edge of the neighbourhood, see :func:`cals_mm.functional._regions.boundary_pixels`.
        mask: (N, H, W) bool of the pixels that count; None: all.

    Returns:
        Two bool tensors of the shape of ``target``.
    """
    target = target.long()
    if mask is None:
        boundary = boundary_pixels(target, size, None)
        return ~boundary, boundary
    nothing = torch.iinfo(target.dtype).min
    boundary = boundary_pixels(target.masked_fill(~mask, nothing), size, nothing)
    return mask & ~boundary, boundary


class RegionStatistics:
    """Sums of violation and penalty derivative over one validation, for each region.

    Args:
        parts: Statistics of each of ``REGIONS``.
        size: Edge of the neighbourhood that tells the regions apart, in pixels.
    """

    def __init__(self, parts: tuple[DualStatistics, ...], size: int) -> None:
        self.parts = parts
        self.size = size

    @property
    def count(self) -> Tensor:
        """Number of pixels, () int64."""
        return torch.stack([part.count for part in self.parts]).sum()

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            logits: (N, K, H, W), any floating dtype.
            mask: (N, H, W) bool of the pixels that count; None: all.
            target: Labels (N, H, W) int64, needed.

        Raises:
            ValueError: If labels are missing, or shapes do not fit.
            NonFiniteLogitsError: If a logit that counts is NaN or infinite. A part of the batch
                may have been added by then.
        """
        if target is None:
            raise ValueError("the regions follow from the labels: pass target")
        regions = region_masks(target, self.size, mask)
        for part, region in zip(self.parts, regions, strict=True):
            part.update(logits, region)

    def reset_(self) -> None:
        """Forget all pixels."""
        for part in self.parts:
            part.reset_()

    def all_reduce_(self) -> RegionStatistics:
        """Add up the sums of all processes; without a process group nothing happens."""
        for part in self.parts:
            part.all_reduce_()
        return self


class RegionLagrangian(LearnedState):
    """An :class:`AugmentedLagrangian` for each region, learned from the pixels of that region.

    Args:
        num_classes: K >= 2.
        size: Edge of the neighbourhood that tells the regions apart, odd, in pixels.
        settings: Arguments of both :class:`AugmentedLagrangian`.

    Attributes:
        interior: Multipliers and rho where the neighbourhood holds one class.
        boundary: Those where it holds several.

    Raises:
        ValueError: For an argument out of its range.

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
        >>> [round(value, 3) for value in lagrangian.boundary.multipliers.tolist()]
        [0.0, 2.0]
    """

    interior: AugmentedLagrangian
    boundary: AugmentedLagrangian

    def __init__(self, num_classes: int, size: int = 3, **settings: Any) -> None:
        super().__init__()
        self.size = check_size(size)
        for region in REGIONS:
            self.add_module(region, AugmentedLagrangian(num_classes, **settings))

    @property
    def parts(self) -> tuple[AugmentedLagrangian, ...]:
        """One for each of ``REGIONS``."""
        return self.interior, self.boundary

    def start_dual_epoch(self) -> RegionStatistics:
        """Statistics for one validation, under the present multipliers and rho."""
        return RegionStatistics(tuple(part.start_dual_epoch() for part in self.parts), self.size)

    def _update_(self, statistics: RegionStatistics, validation: int) -> None:
        """Multipliers, then rho, of each region; one without a pixel stays as it is."""
        for part, sums in zip(self.parts, statistics.parts, strict=True):
            if sums.count:
                part.step_(sums)

    def curves(self) -> dict[str, Tensor]:
        """Multipliers and rho of each region, (K,) each."""
        parts = list(zip(REGIONS, self.parts, strict=True))
        curves = {f"lambda_{region}": part.multipliers for region, part in parts}
        return curves | {f"rho_{region}": part.rho for region, part in parts}
