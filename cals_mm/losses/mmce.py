"""Maximum mean calibration error."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional.mmce import check_kernel_width, maximum_mean_calibration_error

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["MMCELoss"]


@MODELS.register_module()
class MMCELoss(PerSampleLoss):
    r"""Cross entropy plus the maximum mean calibration error of the batch, :math:`CE + w\,MMCE`.

    .. math:: MMCE^2 = \sum_{i,j} a_i a_j e^{-|r_i - r_j| / 0.4},
              \qquad a_i = \frac{c_i - r_i}{N}

    over the N valid samples, or pixels, with the largest probability r and the correctness c of
    each (see :func:`cals_mm.functional.mmce.maximum_mean_calibration_error`). The root is added,
    as in the paper's objective. All pixels of a batch take part, in O(N log N).

    For pixel samplers (``reduction_override='none'``) a sample's loss is its cross entropy. Sample
    weights and ``avg_factor`` weigh the cross entropy alone.

    Args:
        weight: Weight w; 2 is the choice of Mukhoti et al. for this loss.
        weighted: MMCE_w, in which correct and wrong samples have a mean of their own each.
        kernel_width: Width of the Laplacian kernel, at least 0.01.
        num_samples: Estimate the error from so many of the valid samples, drawn anew from torch's
            random numbers at every step. None: all.
        loss_weight: Factor of the whole loss.
        ignore_index: Label that counts for nothing, unless the head passes its own. None: every
            sample counts.
        loss_name: Name in the log; it must contain 'loss' to be optimised.

    Raises:
        ValueError: For an argument out of its range.

    Reference:
        Kumar, Sarawagi and Jain, Trainable Calibration Measures for Neural Networks from Kernel
        Mean Embeddings, ICML 2018; Mukhoti et al., Calibrating Deep Neural Networks using Focal
        Loss, NeurIPS 2020 (arXiv 2002.09437).

    Example:
        >>> import torch
        >>> loss = MMCELoss(weight=2.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([0]))
        tensor(1.6931)
    """

    soft_targets = False

    def __init__(
        self,
        weight: float = 2.0,
        weighted: bool = False,
        kernel_width: float = 0.4,
        num_samples: int | None = None,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_mmce",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.weight = check_not_negative("weight", weight)
        self.weighted = weighted
        self.kernel_width = check_kernel_width(kernel_width)
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples < 1):
            raise ValueError(f"num_samples must be None or at least 1, got {num_samples!r}")
        self.num_samples = num_samples

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy of each sample."""
        return F.cross_entropy(samples.logits, samples.target, reduction="none")

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy plus the weighted error."""
        log_probability = samples.logits.log_softmax(1)
        of_label = log_probability.gather(1, samples.target.unsqueeze(1)).squeeze(1)
        entropy = samples.mean(-of_label, weight, avg_factor)
        confidence = log_probability.amax(1).exp()
        correct = samples.logits.argmax(1) == samples.target
        if samples.valid is not None:
            confidence, correct = confidence[samples.valid], correct[samples.valid]
        confidence, correct = confidence.flatten(), correct.flatten()
        if self.num_samples is not None and len(confidence) > self.num_samples:
            chosen = torch.randperm(len(confidence), device=confidence.device)[: self.num_samples]
            confidence, correct = confidence[chosen], correct[chosen]
        error = maximum_mean_calibration_error(
            confidence, correct, weighted=self.weighted, kernel_width=self.kernel_width
        )
        return entropy + self.weight * error
