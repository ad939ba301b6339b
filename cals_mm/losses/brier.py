"""The Brier score as a loss."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional.brier import brier_loss

from .per_sample_loss import PerSampleLoss

__all__ = ["BrierLoss"]


@MODELS.register_module()
class BrierLoss(PerSampleLoss):
    r"""Brier score: the mean over samples of :math:`\sum_k (p_k - y_k)^2`.

    Args:
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Reference:
        Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review
        78, 1950; as a training loss in Mukhoti et al., NeurIPS 2020
        (arXiv 2002.09437).

    Example:
        >>> import torch
        >>> BrierLoss()(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.5000)
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_brier",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Brier score of each sample."""
        return brier_loss(samples.logits, samples.target)
