"""Accuracy versus uncertainty calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import UncertaintyThreshold
from cals_mm.functional._samples import Samples
from cals_mm.functional._summaries import EPSILON, summarise
from cals_mm.functional.avuc import accuracy_versus_uncertainty

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss
from .stateful_loss import StatefulLoss

__all__ = ["AvUCLoss"]


class AvUParts(NamedTuple):
    """Parts of a loss value: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged over the valid samples."""
    term: Tensor
    """-log AvU, before weighting."""


@MODELS.register_module()
class AvUCLoss(StatefulLoss, PerSampleLoss):
    r"""Cross entropy plus accuracy versus uncertainty calibration, :math:`CE - w \log AvU`.

    AvU is the soft share of valid samples (or pixels) in the batch that are correct and certain, or
    wrong and uncertain (:func:`cals_mm.functional.accuracy_versus_uncertainty`). A sample is
    uncertain if the entropy of its prediction exceeds a threshold. The threshold is a buffer of
    ``self.uncertainty``: after a validation, ``CALSMultiplierHook`` sets it half-way between the
    mean entropies of correct and of wrong predictions
    (:class:`~cals_mm.core.UncertaintyThreshold`). Alternatively, the terms of a fixed list of
    thresholds are averaged, as in the work on segmentation; nothing is learned then.

    The paper trains a Bayesian network; the divergence term of its loss is left out here. With
    pixel samplers (``reduction_override='none'``) the loss of a sample is its cross entropy. Sample
    weights and ``avg_factor`` affect only the cross entropy. Targets must be labels.

    Args:
        weight: Weight w.
        threshold: First threshold, in nats.
        thresholds: Fixed thresholds to use instead, in nats; 0.05 to 0.40 in steps of 0.05 in the
            work on segmentation.
        num_validations: Number of validations that update the threshold before it is frozen. The
            paper says only that it is learned at the beginning; the default is ours.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Krishnan and Tickoo, Improving Model Calibration with Accuracy versus Uncertainty
        Optimization, NeurIPS 2020 (arXiv 2012.07923); Mody et al., Improving Uncertainty-Error
        Correspondence in Deep Bayesian Medical Image Segmentation, MELBA 2024, for the thresholds.

    Example:
        >>> import torch
        >>> loss = AvUCLoss(weight=1.0, threshold=1.0)
        >>> print(f"{loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0])):.4f}")
        0.1269
    """

    uncertainty: UncertaintyThreshold
    soft_targets = False

    def __init__(
        self,
        weight: float = 3.0,
        threshold: float = 1.0,
        thresholds: Sequence[float] | None = None,
        num_validations: int = 3,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_avuc",
    ) -> None:
        state = UncertaintyThreshold(check_not_negative("threshold", threshold), num_validations)
        super().__init__(state, "uncertainty", loss_weight, ignore_index, loss_name)
        self.weight = check_not_negative("weight", weight)
        if thresholds is not None and not len(thresholds):
            raise ValueError("thresholds must hold at least one number of nats, got none")
        self.thresholds = (
            None
            if thresholds is None
            else tuple(check_not_negative("thresholds", value) for value in thresholds)
        )

    def require_hook(self) -> None:
        """Reject a training run in which nothing updates a threshold that is to be learned."""
        if self.thresholds is None:
            super().require_hook()

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy of each sample."""
        return F.cross_entropy(samples.logits, samples.target, reduction="none")

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy plus the weighted term."""
        summaries = summarise(*samples, confidence=True, entropy=True)
        confidence, correct = summaries.confidence, summaries.correct
        uncertainty = summaries.entropy
        assert confidence is not None and uncertainty is not None and correct is not None
        if (valid := samples.valid) is not None:
            confidence, uncertainty, correct = confidence[valid], uncertainty[valid], correct[valid]
        thresholds = (self.uncertainty.threshold,) if self.thresholds is None else self.thresholds
        terms = [
            -(
                accuracy_versus_uncertainty(confidence, uncertainty, correct, threshold) + EPSILON
            ).log()
            for threshold in thresholds
        ]
        # AvU is undefined for a batch without valid samples, and its logarithm would be large.
        term = torch.stack(terms).mean() if correct.numel() else confidence.sum()
        entropy = samples.mean(summaries.cross_entropy, weight, avg_factor)
        if self.training:
            self.last_parts = AvUParts(entropy.detach(), term.detach())
        return entropy + self.weight * term
