"""Confidence and accuracy of a network on held-out data, for the automatic margin."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from cals_mm.functional._prediction_sums import DualSums
from cals_mm.functional.confidence_temperature import confidence_temperature

from .dual_statistics import DualStatistics
from .held_out_sample import HeldOutSample

__all__ = ["AutoMarginStatistics", "HeldOutConfidence"]


class HeldOutConfidence(NamedTuple):
    """Confidence and accuracy on a sample of a validation, as fractions unless stated otherwise."""

    accuracy: float
    """Share of correct predictions."""
    gap: float
    """Mean confidence minus accuracy; positive for over-confident models."""
    gap_error: float
    """Its standard error; the pixels of an image count as one draw, as they are correlated."""
    temperature: float
    """Temperature at which the mean confidence equals the accuracy."""
    distance: float
    """Typical distance of the logits, in logit units: the median over samples of the mean over the
    classes that were not predicted."""


class AutoMarginStatistics(DualStatistics):
    """Dual statistics that also keep a sample of the logits.

    Samples whose label is not a class are left out, whether ignored or not.

    Example:
        >>> import torch
        >>> statistics = AutoMarginStatistics(torch.ones(2), torch.ones(2), margin=1.0)
        >>> statistics.update(torch.tensor([[3.0, 0.0], [0.0, 3.0]]), target=torch.tensor([0, 0]))
        >>> print(f"{statistics.confidence().gap:.3f} {statistics.confidence().distance:.1f}")
        0.453 3.0
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sample = HeldOutSample(self.multipliers.numel())

    def update(
        self,
        logits: Tensor,
        mask: Tensor | None = None,
        target: Tensor | None = None,
        sums: DualSums | None = None,
    ) -> None:
        """Add a batch as in :meth:`DualStatistics.update`, with its labels (N, ...) int64."""
        if target is None:
            raise ValueError("an automatic margin needs the labels: pass target to update")
        target = target.long()
        super().update(logits, mask, target, sums)
        valid = (target >= 0) & (target < logits.shape[1])
        if mask is not None:
            valid &= mask.to(target.device)
        self.sample.update(logits.detach(), target, valid)

    def reset_(self) -> None:
        """Forget all samples."""
        super().reset_()
        self.sample.reset_()

    def all_reduce_(self) -> AutoMarginStatistics:
        """Combine sums and samples of all processes."""
        super().all_reduce_()
        self.sample.gather_()
        return self

    def confidence(self) -> HeldOutConfidence | None:
        """Evaluate the sample; None if no sample has a label."""
        logits, target, image = self.sample.logits, self.sample.target, self.sample.image
        if not len(target):
            return None
        distance = (logits.amax(1, keepdim=True) - logits).double()
        correct = (logits.argmax(1) == target).double()
        excess = 1 / (-distance).exp().sum(1) - correct
        accuracy = float(correct.mean())
        return HeldOutConfidence(
            accuracy,
            float(excess.mean()),
            _standard_error(excess, image),
            confidence_temperature(logits, accuracy),
            float(distance.sum(1).median()) / (logits.shape[1] - 1),
        )


def _standard_error(values: Tensor, image: Tensor) -> float:
    """Standard error of a mean, where the values of an image were drawn together."""
    names, position = image.unique(return_inverse=True)
    sums = torch.zeros(len(names), dtype=torch.float64)
    sums.index_add_(0, position, values - values.mean())
    return float(sums.square().sum().sqrt()) / len(values)
