"""Losses that are a mean over samples."""

from __future__ import annotations

import torch
from torch import Tensor

from cals_mm.functional._samples import Samples, as_samples

from .framework_loss import FrameworkLoss, LossCall

__all__ = ["PerSampleLoss"]


class PerSampleLoss(FrameworkLoss):
    """A mean of values per sample, optionally with terms of the whole batch.

    A subclass implements :meth:`sample_loss`, and overrides :meth:`batch_loss` to add such terms.
    Arithmetic is in float32, also under autocast.
    """

    soft_targets = True
    """Whether the loss is defined for class probabilities as target (mixup, distillation)."""

    def sample_loss(self, samples: Samples) -> Tensor:
        """Loss of each sample, (N, ...); values of samples that are not valid are not used."""
        raise NotImplementedError

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Scalar loss: the mean of :meth:`sample_loss` over the valid samples."""
        return samples.mean(self.sample_loss(samples), weight, avg_factor)

    def mean_loss(self, call: LossCall) -> Tensor:
        """Scalar loss of a batch."""
        with torch.autocast(call.logits.device.type, enabled=False):
            return self.batch_loss(self.samples(call), call.weight, call.avg_factor)

    def each_loss(self, call: LossCall) -> Tensor:
        """Loss of each sample, of the labels' shape, 0 where a sample is not valid."""
        with torch.autocast(call.logits.device.type, enabled=False):
            samples = self.samples(call)
            return samples.keep(self.sample_loss(samples), call.weight)

    def samples(self, call: LossCall) -> Samples:
        """Check and return the samples of a call.

        Raises:
            ValueError: If shapes or labels do not fit, or if the loss requires labels and gets
                probabilities.
        """
        samples = as_samples(call.logits, call.target, call.ignore_index)
        if samples.soft and not self.soft_targets:
            raise ValueError(
                f"{type(self).__name__} is defined for labels, but the target holds class "
                f"probabilities {tuple(call.target.shape)}: leave out mixup and cutmix, or use "
                "another loss"
            )
        return samples
