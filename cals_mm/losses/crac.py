"""CALS with multipliers for each class and region of an image."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import RegionLagrangian, RegionStatistics
from cals_mm.core.region_lagrangian import REGIONS, region_masks
from cals_mm.functional._samples import Samples, as_samples
from cals_mm.functional.cals_loss import cals_loss, check_class_reduction

from ._baseline import CallableLoss
from ._validated import ValidatedLoss

__all__ = ["CRaCLoss"]

OUTSIDE = -100
"""Label of the pixels of other regions, out of range of any class."""


class RegionParts(NamedTuple):
    """What a loss value is made of: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged."""
    penalty_interior: Tensor
    """Penalty, averaged over interior pixels, before ``penalty_weight``."""
    penalty_boundary: Tensor
    """Penalty, averaged over boundary pixels, before ``penalty_weight``."""
    violated_interior: Tensor
    """Share of violated constraints over interior pixels and classes, in [0, 1]."""
    violated_boundary: Tensor
    """Share of violated constraints over boundary pixels and classes, in [0, 1]."""


@MODELS.register_module()
class CRaCLoss(CallableLoss, ValidatedLoss):
    r"""Cross entropy plus class- and region-adaptive margin penalties, for segmentation.

    .. math:: L = \frac{1}{|V|} \sum_{i \in V} CE(z_i, y_i) + w \sum_r
              \frac{1}{|V_r| K} \sum_{i \in V_r} \sum_k P(h_k(z_i); \lambda_{rk}, \rho_{rk})

    The regions r are the interior of objects and their boundaries: the valid pixels in whose
    neighbourhood one class is labelled, and those with several. Each region's penalty is a mean
    over its own pixels, so that the few boundary pixels count as much as all others together.
    Violation h, penalty P and the update of the multipliers are those of CALS.

    The paper constrains logits by the classes of the neighbours; here the constraint is the margin
    of CALS, and what is taken over are the multipliers for each class and region.

    Multipliers are buffers of ``self.lagrangian``; ``CALSMultiplierHook`` updates them after every
    validation, from the regions of the validation labels.

    Args:
        num_classes: K, the number of output channels.
        margin: Largest admissible logit distance, in logit units.
        region_size: Edge of the square neighbourhood, odd, in pixels.
        penalty: 'phr', 'p2', 'p3' or 'relu'.
        lambda_min: Smallest and first multiplier.
        lambda_max: Largest multiplier.
        lambda_interval: Multipliers change at every so many validations.
        rho_init: First rho.
        rho_max: Largest rho.
        rho_interval: Rho may grow at every so many validations.
        growth_factor: Factor by which rho grows.
        violation_tolerance: Rho grows where the mean violation exceeds this share of the one
            before.
        penalty_weight: Factor w of both penalties.
        class_reduction: 'mean' over classes, as above, or 'sum', K times stronger.
        loss_weight: Factor of the whole loss.
        ignore_index: Label that counts for nothing, unless the head passes its own. None: every
            pixel counts.
        loss_name: Name in the log; it must contain 'loss' to be optimised.

    Raises:
        ValueError: For an argument out of its range.

    Reference:
        Murugesan et al., Class and Region-Adaptive Constraints for Network Calibration, MICCAI
        2024 (arXiv 2403.12364); Liu et al., Class Adaptive Network Calibration, CVPR 2023.

    Example:
        >>> import torch
        >>> loss = CRaCLoss(num_classes=3, margin=5.0)
        >>> loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)).shape
        torch.Size([])
    """

    def __init__(
        self,
        num_classes: int,
        margin: float = 10.0,
        region_size: int = 3,
        penalty: str = "phr",
        lambda_min: float = 1e-6,
        lambda_max: float = 1e6,
        lambda_interval: int = 1,
        rho_init: float = 1.0,
        rho_max: float = 10.0,
        rho_interval: int = 10,
        growth_factor: float = 1.2,
        violation_tolerance: float = 0.9,
        penalty_weight: float = 1.0,
        class_reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_crac",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.lagrangian = RegionLagrangian(
            num_classes,
            region_size,
            margin=margin,
            penalty=penalty,
            lambda_min=lambda_min,
            lambda_max=lambda_max,
            lambda_interval=lambda_interval,
            rho_init=rho_init,
            rho_max=rho_max,
            rho_interval=rho_interval,
            growth_factor=growth_factor,
            violation_tolerance=violation_tolerance,
        )
        self.penalty_weight = penalty_weight
        self.class_reduction = check_class_reduction(class_reduction)

    def mean_loss(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        ignore_index: int | None,
    ) -> Tensor:
        """Scalar loss of a batch; the arguments are those of :meth:`forward`."""
        self.require_hook()
        samples = self._pixels(logits, target, ignore_index)
        divisor = samples.num_valid if avg_factor is None else avg_factor
        masks = region_masks(samples.target, self.lagrangian.size, samples.valid)
        total, parts = None, []
        for mask, lagrangian in zip(masks, self.lagrangian.parts, strict=True):
            # Each call has the cross entropy of its own pixels, as its share of the whole mean.
            result = cals_loss(
                logits,
                samples.target.masked_fill(~mask, OUTSIDE),
                lagrangian.multipliers,
                lagrangian.rho,
                lagrangian.margin,
                kind=lagrangian.penalty_kind,
                ignore_index=OUTSIDE,
                class_reduction=self.class_reduction,
                penalty_weight=self.penalty_weight,
                sample_weight=weight,
                avg_factor=divisor,
                return_parts=True,
            )
            assert isinstance(result, tuple)
            total = result[0] if total is None else total + result[0]
            parts.append(result[1])
        assert total is not None
        entropy, penalty, violated = zip(*parts, strict=True)
        if self.training:
            self.last_parts = RegionParts(entropy[0] + entropy[1], *penalty, *violated)
        return total

    def each_loss(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None
    ) -> Tensor:
        """Cross entropy of each pixel, by which samplers choose the hard ones."""
        samples = self._pixels(logits, target, ignore_index)
        entropy = F.cross_entropy(samples.logits, samples.target, reduction="none")
        return samples.keep(entropy, weight)

    def _pixels(self, logits: Tensor, target: Tensor, ignore_index: int | None) -> Samples:
        if logits.ndim < 3:
            raise ValueError(
                f"logits of shape {tuple(logits.shape)} are no image: CRaCLoss tells regions apart "
                "by the labels of neighbouring pixels (N, H, W); use CALSLoss for a classifier"
            )
        samples = as_samples(logits, target, ignore_index)
        if samples.soft:
            raise ValueError(
                "CRaCLoss is defined for labels, but the target holds class probabilities "
                f"{tuple(target.shape)}: pass labels (N, H, W)"
            )
        return samples

    def start_dual_epoch(self) -> RegionStatistics:
        """Statistics for one validation, under the present multipliers and rho."""
        return self.lagrangian.start_dual_epoch()

    def step_(self, statistics: RegionStatistics) -> None:
        """Update multipliers and rho in place."""
        self.lagrangian.step_(statistics)

    def curves(self) -> dict[str, Tensor]:
        """Multipliers and rho of each region, (K,) each."""
        parts = list(zip(REGIONS, self.lagrangian.parts, strict=True))
        curves = {f"lambda_{region}": part.multipliers for region, part in parts}
        return curves | {f"rho_{region}": part.rho for region, part in parts}
