"""Calibration by pairwise constraints (CPC)."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional.pairwise import binary_discrimination, binary_exclusion

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["PairwiseConstraintLoss"]


@MODELS.register_module()
class PairwiseConstraintLoss(PerSampleLoss):
    r"""Cross entropy plus constraints on all pairs of classes (CPC).

    .. math:: L = CE + w_d BDC + w_e BEC

    The discrimination constraints (BDC) make the label's class win against every other class. The
    exclusion constraints (BEC) push the posteriors of any two other classes, normalised over the
    pair, to 1/2 each. Both are averaged over the pairs of a sample, then over samples.
    :mod:`cals_mm.functional.pairwise` computes them without storing the pairs.

    Args:
        discrimination_weight: Weight of BDC.
        exclusion_weight: Weight of BEC.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Cheng and Vasconcelos, Calibrating Deep Neural Networks by Pairwise Constraints, CVPR 2022;
        the default weights are those of the comparison in Liu et al., CVPR 2023.

    Example:
        >>> import torch
        >>> loss = PairwiseConstraintLoss()
        >>> loss(torch.zeros(1, 4), torch.tensor([0]))
        tensor(1.8022)
    """

    soft_targets = False

    def __init__(
        self,
        discrimination_weight: float = 0.1,
        exclusion_weight: float = 1.0,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_cpc",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.discrimination_weight = check_not_negative(
            "discrimination_weight", discrimination_weight
        )
        self.exclusion_weight = check_not_negative("exclusion_weight", exclusion_weight)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy and both terms of each sample."""
        logits, target = samples.logits, samples.target
        loss = F.cross_entropy(logits, target, reduction="none")
        loss = loss + self.discrimination_weight * binary_discrimination(logits, target)
        return loss + self.exclusion_weight * binary_exclusion(logits, target)
