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
    """Parts of a loss value: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged."""
    penalty: Tensor
    """Penalty of both regions, averaged and weighted."""


@MODELS.register_module()
@takes_settings_of(AugmentedLagrangian, "num_classes", "margin", "penalty", "rho_init")
class CRaCLoss(StatefulLoss, ImageLoss):
    r"""Cross entropy plus constraints of the logits by the labels around each pixel (CRaC).

    .. math:: L = CE + \frac{w}{2 K N} \sum_i \sum_k
              \lambda_{r(i)k} h_{ik} + \tfrac12 \rho_{r(i)k} h_{ik}^2, \qquad
              h_{ik} = |s_{r(i)} \tau_{ik} - z_{ik}|

    over the N valid pixels. :math:`\tau_{ik}` is the share of label k in the 3 x 3 window around
    pixel i, including i itself. The region r(i) is the boundary if that window holds several
    labels, and the interior otherwise; s is the margin in the interior and 1 at the boundary. The
    logits themselves are constrained, so adding a constant to all of them changes the loss.

    Multipliers and rho of each region and class are buffers of ``self.lagrangian``.
    ``CALSMultiplierHook`` updates them after every validation from the regions of the validation
    labels; :class:`~cals_mm.core.RegionLagrangian` describes the update.

    Where the paper leaves details open, this loss follows the released code, with two exceptions.
    The code gives pixels outside the image class 0 (``padding='zeros'``), and rounding lets its
    boundary test miss windows of classes 0 and 3. By default, pixels outside the image and void
    pixels belong to no class, shares are taken over the labelled pixels of a window, and labels are
    compared exactly.

    Args:
        num_classes: K, the number of output channels.
        margin: Target logit of the label in the interior, in logit units.
        rho_init: Initial and smallest rho.
        padding: 'labelled' or 'zeros', as described above.
        penalty_weight: Factor w of the penalty.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
        settings: ``lambda_min``, ``rho_max``, ``rho_interval`` and further arguments of
            :class:`~cals_mm.core.AugmentedLagrangian`.

    Raises:
        ValueError: For an invalid argument.
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
