"""Losses that look at the labels around each pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional._windows import check_images

from .framework_loss import LossCall
from .per_sample_loss import PerSampleLoss

__all__ = ["ImageLoss"]


class ImageLoss(PerSampleLoss):
    """A loss of images (N, K, H, W) with labels.

    For pixel samplers (``reduction_override='none'``) the loss of a pixel is its cross entropy.
    """

    soft_targets = False

    def samples(self, call: LossCall) -> Samples:
        """The pixels of a call, checked.

        Raises:
            ValueError: If shapes or labels do not fit, or there are no images.
        """
        check_images(type(self).__name__, call.logits, "use another loss for a classifier")
        return super().samples(call)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy of each pixel."""
        return F.cross_entropy(samples.logits, samples.target, reduction="none")
