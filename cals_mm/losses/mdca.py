"""Multi-class difference in confidence and accuracy."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._normalisation import inverse
from cals_mm.functional._samples import Samples
from cals_mm.functional._summaries import summarise
from cals_mm.functional.focal import focal_loss, focal_weighted

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["MDCALoss"]


@MODELS.register_module()
class MDCALoss(PerSampleLoss):
    r"""Cross entropy plus the difference between confidence and frequency of each class (MDCA).

    .. math:: L = CE + \frac{w}{K} \sum_k \Big|\frac1N \sum_i p_{ik} - \frac1N \sum_i [y_i = k]\Big|

    over the N valid samples (or pixels) of the batch. With pixel samplers
    (``reduction_override='none'``) the loss of a sample is its cross entropy. Sample weights and
    ``avg_factor`` affect only the cross entropy. Targets must be labels.

    Args:
        weight: Weight w of the difference.
        gamma: Gamma of the focal loss that takes the place of the cross entropy; 0 is cross
            entropy.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Hebbalaguppe et al., A Stitch in Time Saves Nine: A Train-Time Regularizing Loss for
        Improved Neural Network Calibration, CVPR 2022 (arXiv 2203.13834), Equations 4 and 5.

    Example:
        >>> import torch
        >>> MDCALoss()(torch.zeros(1, 2), torch.tensor([0]))
        tensor(1.1931)
    """

    soft_targets = False

    def __init__(
        self,
        weight: float = 1.0,
        gamma: float = 0.0,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_mdca",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.weight = check_not_negative("weight", weight)
        self.gamma = check_not_negative("gamma", gamma)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy or focal loss of each sample."""
        return focal_loss(samples.logits, samples.target, self.gamma)

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy or focal loss, plus the weighted difference."""
        summaries = summarise(*samples, mass=True)
        assert summaries.mass is not None
        each = focal_weighted(summaries.cross_entropy, self.gamma)
        labels = samples.target if samples.valid is None else samples.target[samples.valid]
        frequency = labels.flatten().bincount(minlength=len(summaries.mass))
        difference = (summaries.mass - frequency).abs().mean() * inverse(samples.num_valid)
        return samples.mean(each, weight, avg_factor) + self.weight * difference
