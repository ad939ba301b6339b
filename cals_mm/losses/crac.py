"""CALS with multipliers for each class and region of an image."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, RegionLagrangian
from cals_mm.core.region_lagrangian import region_masks
from cals_mm.functional._samples import Samples, as_samples
from cals_mm.functional.cals_loss import cals_loss, check_class_reduction

from ._arguments import check_settings, takes_settings_of
from .framework_loss import LossCall
from .stateful_loss import StatefulLoss

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
@takes_settings_of(AugmentedLagrangian, "num_classes", "margin")
class CRaCLoss(StatefulLoss):
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
        penalty_weight: Factor w of both penalties.
        class_reduction: 'mean' over classes, as above, or 'sum', K times stronger.
        loss_weight: Factor of the whole loss.
        ignore_index: Label that counts for nothing, unless the head passes its own. None: every
            pixel counts.
        loss_name: Name in the log; it must contain 'loss' to be optimised.
        settings: ``penalty``, ``lambda_min`` and further arguments of
            :class:`~cals_mm.core.AugmentedLagrangian`.

    Raises:
        ValueError: For an argument out of its range.
        TypeError: For an unknown argument.

    Reference:
        Murugesan et al., Class and Region-Adaptive Constraints for Network Calibration, MICCAI
        2024 (arXiv 2403.12364); Liu et al., Class Adaptive Network Calibration, CVPR 2023.

    Example:
        >>> import torch
        >>> loss = CRaCLoss(num_classes=3, margin=5.0)
        >>> loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)).shape
        torch.Size([])
    """

    lagrangian: RegionLagrangian

    def __init__(
        self,
        num_classes: int,
        margin: float = 10.0,
        region_size: int = 3,
        penalty_weight: float = 1.0,
        class_reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_crac",
        **settings: Any,
    ) -> None:
        check_settings(CRaCLoss, settings)
        state = RegionLagrangian(num_classes, region_size, margin=margin, **settings)
        super().__init__(state, "lagrangian", loss_weight, ignore_index, loss_name)
        self.penalty_weight = penalty_weight
        self.class_reduction = check_class_reduction(class_reduction)

    def mean_loss(self, call: LossCall) -> Tensor:
        """Scalar loss of a batch."""
        self.require_hook()
        samples = self._pixels(call)
        divisor = samples.num_valid if call.avg_factor is None else call.avg_factor
        masks = region_masks(samples.target, self.lagrangian.size, samples.valid)
        total, parts = None, []
        for mask, lagrangian in zip(masks, self.lagrangian.parts, strict=True):
            # Each call has the cross entropy of its own pixels, as its share of the whole mean.
            result = cals_loss(
                call.logits,
                samples.target.masked_fill(~mask, OUTSIDE),
                lagrangian.multipliers,
                lagrangian.rho,
                lagrangian.margin,
                kind=lagrangian.penalty_kind,
                ignore_index=OUTSIDE,
                class_reduction=self.class_reduction,
                penalty_weight=self.penalty_weight,
                sample_weight=call.weight,
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

    def each_loss(self, call: LossCall) -> Tensor:
        """Cross entropy of each pixel, by which samplers choose the hard ones."""
        samples = self._pixels(call)
        entropy = F.cross_entropy(samples.logits, samples.target, reduction="none")
        return samples.keep(entropy, call.weight)

    def _pixels(self, call: LossCall) -> Samples:
        logits, target = call.logits, call.target
        if logits.ndim < 3:
            raise ValueError(
                f"logits of shape {tuple(logits.shape)} are no image: CRaCLoss tells regions apart "
                "by the labels of neighbouring pixels (N, H, W); use CALSLoss for a classifier"
            )
        samples = as_samples(logits, target, call.ignore_index)
        if samples.soft:
            raise ValueError(
                "CRaCLoss is defined for labels, but the target holds class probabilities "
                f"{tuple(target.shape)}: pass labels (N, H, W)"
            )
        return samples
