"""Entropy penalty: cross entropy that rewards an uncertain prediction."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional.cals_loss import check_class_reduction
from cals_mm.functional.entropy import entropy_penalty_loss

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["EntropyPenaltyLoss"]


@MODELS.register_module()
class EntropyPenaltyLoss(PerSampleLoss):
    r"""Explicit confidence penalty (ECP): the mean of :math:`CE(z, y) - w H(p)`.

    The entropy is a sum over classes, as in the paper. The weight 0.1 in the tables of the MbLS and
    CALS papers applies to the mean over classes instead, which ``class_reduction='mean'`` selects.

    The loss may be negative. Give it a ``loss_name`` of its own to tell it apart in the log.

    Args:
        weight: Weight w of the entropy, per nat.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
        class_reduction: 'sum' of :math:`-p_k \log p_k` over classes, or 'mean'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Pereyra et al., Regularizing Neural Networks by Penalizing Confident Output Distributions,
        ICLR 2017 workshop (arXiv 1701.06548), Section 3.

    Example:
        >>> import torch
        >>> EntropyPenaltyLoss(weight=0.1)(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.6238)
    """

    def __init__(
        self,
        weight: float = 0.1,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_ecp",
        class_reduction: str = "sum",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.weight = check_not_negative("weight", weight)
        self.class_reduction = check_class_reduction(class_reduction)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy minus weighted entropy of each sample."""
        classes = samples.logits.shape[1] if self.class_reduction == "mean" else 1
        return entropy_penalty_loss(samples.logits, samples.target, self.weight / classes)
