"""Losses that use the labels around each pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional._windows import check_images

from .framework_loss import LossCall
from .per_sample_loss import PerSampleLoss

__all__ = ["ImageLoss"]


class ImageLoss(PerSampleLoss):
    """A loss for images (N, K, H, W) with labels.

    With pixel samplers (``reduction_override='none'``) the loss of a pixel is its cross entropy.
    """

    soft_targets = False

    def samples(self, call: LossCall) -> Samples:
        """Check and return the pixels of a call.

        Raises:
            ValueError: If shapes or labels do not fit, or the logits are not those of images.
        """
        check_images(type(self).__name__, call.logits, "use another loss for a classifier")
        return super().samples(call)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy of each pixel."""
        return F.cross_entropy(samples.logits, samples.target, reduction="none")
