"""Class- and region-adaptive constraints, for segmentation."""

from __future__ import annotations

from typing import Any, NamedTuple

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, RegionLagrangian
from cals_mm.functional._normalisation import inverse
from cals_mm.functional._samples import Samples
from cals_mm.functional._window_loss import window_loss
from cals_mm.functional.crac import CRaCProblem, region_penalty

from ._arguments import check_settings, takes_settings_of
from ._image_loss import ImageLoss
from .stateful_loss import StatefulLoss

__all__ = ["CRaCLoss"]


class RegionParts(NamedTuple):
    """What a loss value is made of: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged."""
    penalty: Tensor
    """Penalty of both regions, averaged, times its weight."""


@MODELS.register_module()
@takes_settings_of(AugmentedLagrangian, "num_classes", "margin", "penalty", "rho_init")
class CRaCLoss(StatefulLoss, ImageLoss):
    r"""Cross entropy plus constraints on logits by the labels around each pixel (CRaC).

    .. math:: L = CE + \frac{w}{2 K N} \sum_i \sum_k
              \lambda_{r(i)k} h_{ik} + \tfrac12 \rho_{r(i)k} h_{ik}^2, \qquad
              h_{ik} = |s_{r(i)} \tau_{ik} - z_{ik}|

    over the N valid pixels. :math:`\tau_{ik}` is the share of label k in the 3 x 3 window of pixel
    i, its own included; the region r(i) is the boundary where that window holds several labels,
    and the interior where it holds one; s is the margin in the interior and 1 at the boundary.
    The constraint is one of the logits themselves, so a constant added to all of them counts.

    Multipliers and rho of each region and class are buffers of ``self.lagrangian``;
    ``CALSMultiplierHook`` updates them after every validation, from the regions of the validation
    labels (:class:`~cals_mm.core.RegionLagrangian` has the update).

    Where paper and released code may differ, this is the code's, with two exceptions. There,
    pixels outside of the image have class 0 (``padding='zeros'``), and the test for a boundary
    misses windows of classes 0 and 3 by rounding. Here, what lies outside or is void belongs to
    nothing, shares are of the labelled pixels of a window, and labels are compared exactly.

    Args:
        num_classes: K, the number of output channels.
        margin: Logit that the label has in the interior, in logit units.
        rho_init: First and smallest rho.
        padding: 'labelled' or 'zeros'.
        penalty_weight: Factor w of the penalty.
        loss_weight: Factor of the whole loss.
        ignore_index: Label that counts for nothing, unless the head passes its own. None: every
            pixel counts.
        loss_name: Name in the log; it must contain 'loss' to be optimised.
        settings: ``lambda_min``, ``rho_max``, ``rho_interval`` and further arguments of
            :class:`~cals_mm.core.AugmentedLagrangian`.

    Raises:
        ValueError: For an argument out of its range.
        TypeError: For an unknown argument.

    Reference:
        Murugesan et al., Class and Region-Adaptive Constraints for Network Calibration, MICCAI
        2024 (arXiv 2403.12364).

    Example:
        >>> import torch
        >>> loss = CRaCLoss(num_classes=3)
        >>> loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)).shape
        torch.Size([])
    """

    lagrangian: RegionLagrangian

    def __init__(
        self,
        num_classes: int,
        margin: float = 5.0,
        rho_init: float = 0.1,
        padding: str = "labelled",
        penalty_weight: float = 1.0,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_crac",
        **settings: Any,
    ) -> None:
        check_settings(CRaCLoss, settings)
        state = RegionLagrangian(num_classes, margin, padding, rho_init, **settings)
        super().__init__(state, "lagrangian", loss_weight, ignore_index, loss_name)
        self.penalty_weight = penalty_weight

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy plus the weighted penalty."""
        state, num_classes = self.lagrangian, samples.logits.shape[1]
        if num_classes != state.num_classes:
            raise ValueError(
                f"logits have {num_classes} classes, but num_classes is {state.num_classes}; set "
                f"num_classes={num_classes}"
            )
        problem = CRaCProblem(samples, state.margin, state.padding)
        term = region_penalty(problem, state.multipliers, state.rho)
        scale = inverse(samples.num_valid) * (self.penalty_weight / (2 * num_classes))
        result = window_loss(samples, problem.windows, term, scale, weight, avg_factor)
        self.last_parts = RegionParts(*result[1:]) if self.training else None
        return result.loss
