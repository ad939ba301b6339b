"""Maximum mean calibration error."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional._summaries import summarise
from cals_mm.functional.mmce import (
    MMCEForm,
    check_form,
    check_kernel_width,
    maximum_mean_calibration_error,
)

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["MMCELoss"]


@MODELS.register_module()
class MMCELoss(PerSampleLoss):
    r"""Cross entropy plus a kernel calibration error of the batch, :math:`CE + w M`.

    .. math:: M = \frac{1}{N^2} \sum_{i,j} (c_i - r_i) (c_j - r_j) e^{-|r_i - r_j| / 0.4}

    over the N valid samples (or pixels), where r is the largest probability of a sample and c its
    correctness (see :func:`cals_mm.functional.maximum_mean_calibration_error`). It is computed over
    all pixels of a batch in O(N log N).

    Three forms are called MMCE. The tables of the MbLS and CALS papers use M itself ('squared')
    with weight 1. The MMCE paper adds the square root of M ('root'). Mukhoti et al. use a form with
    separate means over correct and wrong samples ('weighted') with weight 2; since their released
    code divides by the sizes of the two groups twice, their 2 is weaker than a 2 here by a factor
    of about half the number of samples.

    With pixel samplers (``reduction_override='none'``) the loss of a sample is its cross entropy.
    Sample weights and ``avg_factor`` affect only the cross entropy.

    Args:
        weight: Weight w.
        form: 'squared', 'root' or 'weighted'.
        kernel_width: Width of the Laplacian kernel, at least 0.01.
        num_samples: Number of valid samples to estimate the error from, drawn anew at every step
            with torch's random numbers. None uses all.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
        weighted: True is the same as ``form='weighted'``.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Kumar, Sarawagi and Jain, Trainable Calibration Measures for Neural Networks from Kernel
        Mean Embeddings, ICML 2018; Mukhoti et al., Calibrating Deep Neural Networks using Focal
        Loss, NeurIPS 2020 (arXiv 2002.09437).

    Example:
        >>> import torch
        >>> loss = MMCELoss(weight=2.0)
        >>> loss(torch.zeros(1, 2), torch.tensor([0]))
        tensor(1.1931)
    """

    soft_targets = False

    def __init__(
        self,
        weight: float = 1.0,
        form: MMCEForm = "squared",
        kernel_width: float = 0.4,
        num_samples: int | None = None,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_mmce",
        weighted: bool = False,
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.weight = check_not_negative("weight", weight)
        self.form: MMCEForm = "weighted" if weighted else check_form(form)
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
        summaries = summarise(*samples, confidence=True)
        entropy = samples.mean(summaries.cross_entropy, weight, avg_factor)
        confidence, correct = summaries.confidence, summaries.correct
        assert confidence is not None and correct is not None
        if samples.valid is not None:
            confidence, correct = confidence[samples.valid], correct[samples.valid]
        confidence, correct = confidence.flatten(), correct.flatten()
        if self.num_samples is not None and len(confidence) > self.num_samples:
            chosen = torch.randperm(len(confidence), device=confidence.device)[: self.num_samples]
            confidence, correct = confidence[chosen], correct[chosen]
        error = maximum_mean_calibration_error(
            confidence, correct, form=self.form, kernel_width=self.kernel_width
        )
        return entropy + self.weight * error
