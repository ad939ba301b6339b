"""Margin-based label smoothing."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.registry import MODELS

from cals_mm.functional.violation import check_margin

from ._arguments import check_not_negative
from .smoothed_cross_entropy import SmoothedCrossEntropyLoss

__all__ = ["MbLSLoss"]


@MODELS.register_module()
class MbLSLoss(SmoothedCrossEntropyLoss):
    r"""Margin-based label smoothing: cross entropy plus equally weighted margin constraints.

    .. math:: L = CE(z, y) + \frac{w}{K} \sum_k \max(0, \max_j z_j - z_k - m)

    It equals ``CALSLoss(penalty='relu')`` with fixed multipliers :math:`w \cdot m`.

    Args:
        margin: Largest logit distance m that is not penalised, in logit units.
        weight: Weight w of the penalty.
        label_smoothing: Label smoothing of the cross entropy, a fraction in [0, 1].
        class_weight: K weights of the cross entropy.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Liu et al., The Devil is in the Margin: Margin-based Label Smoothing for Network
        Calibration, CVPR 2022 (arXiv 2111.15430), Section 3.

    Example:
        >>> import torch
        >>> loss = MbLSLoss(margin=10.0, weight=0.1)
        >>> print(f"{loss(torch.tensor([[40.0, 0.0]]), torch.tensor([0])):.2f}")
        1.50
    """

    def __init__(
        self,
        margin: float = 10.0,
        weight: float = 0.1,
        label_smoothing: float = 0.0,
        class_weight: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_mbls",
    ) -> None:
        super().__init__(label_smoothing, class_weight, loss_weight, ignore_index, loss_name)
        self.margin = check_margin(margin)
        self.penalty_weight = check_not_negative("weight", weight)
