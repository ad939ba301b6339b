"""Adaptive and conditional label smoothing."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional.acls import acls_penalty
from cals_mm.functional.violation import check_margin

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["ACLSLoss"]


@MODELS.register_module()
class ACLSLoss(PerSampleLoss):
    r"""Cross entropy plus the adaptive and conditional regulariser, :math:`CE + w R`.

    .. math:: R = \lambda_1 \max(0, z_{\hat y} - m)^2
              + \frac{\lambda_2}{K - 1} \sum_{j \ne \hat y} \max(0, z_{\hat y} - z_j - m)^2

    averaged over samples, with the predicted class :math:`\hat y`. The first term pulls the largest
    logit itself below the margin. In the second term the largest logit is treated as a constant, so
    each other logit is moved by its own term only (see :func:`cals_mm.functional.acls_penalty`).
    Where the paper leaves details open, this loss follows the released code, except that ignored
    pixels are not regularised.

    Args:
        margin: Margin m in logit units, for the largest logit and for the distances to it.
        weight: Weight w of the regulariser.
        predicted_weight: Lambda 1, for the predicted class.
        others_weight: Lambda 2, for the other classes.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Park et al., ACLS: Adaptive and Conditional Label Smoothing for Network Calibration, ICCV
        2023 (arXiv 2308.11911).

    Example:
        >>> import torch
        >>> loss = ACLSLoss(margin=10.0)
        >>> print(f"{loss(torch.tensor([[30.0, 0.0]]), torch.tensor([0])):.2f}")
        44.00
    """

    def __init__(
        self,
        margin: float = 10.0,
        weight: float = 0.1,
        predicted_weight: float = 1.0,
        others_weight: float = 0.1,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_acls",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.margin = check_margin(margin)
        self.weight = check_not_negative("weight", weight)
        self.predicted_weight = check_not_negative("predicted_weight", predicted_weight)
        self.others_weight = check_not_negative("others_weight", others_weight)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy and regulariser of each sample."""
        entropy = F.cross_entropy(samples.logits, samples.target, reduction="none")
        penalty = acls_penalty(
            samples.logits, self.margin, self.predicted_weight, self.others_weight
        )
        return entropy + self.weight * penalty
