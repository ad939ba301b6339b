"""Focal loss whose gamma follows the calibration on the validation set."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import AdaptiveFocus
from cals_mm.functional._samples import Samples
from cals_mm.functional.focal import focal_weighted

from .per_sample_loss import PerSampleLoss
from .stateful_loss import StatefulLoss

__all__ = ["AdaFocalLoss"]


class FocusParts(NamedTuple):
    """Parts of a loss value: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged over the valid samples."""
    gamma: Tensor
    """Mean gamma of the valid samples."""


@MODELS.register_module()
class AdaFocalLoss(StatefulLoss, PerSampleLoss):
    r"""Focal loss with a separate gamma for each confidence bin (AdaFocal).

    .. math:: L = -(1 - p_y)^{\gamma} \log p_y \;\text{ for } \gamma > 0, \qquad
              L = -(1 + p_y)^{|\gamma|} \log p_y \;\text{ for } \gamma < 0

    where gamma belongs to the bin that contains :math:`p_y`, the probability of the label. Gammas
    and bins are buffers of ``self.focus`` (:class:`cals_mm.core.AdaptiveFocus`, which describes the
    update). ``CALSMultiplierHook`` updates them after every validation from the confidence and
    accuracy of the predicted class.

    Args:
        num_bins: Number of bins, which hold equally many validation samples.
        rate: How fast gamma follows the difference between confidence and accuracy.
        gamma_init: First gamma of each bin.
        gamma_min: Smallest gamma.
        gamma_max: Largest gamma.
        threshold: Absolute value of gamma below which focal and inverse focal loss change places.
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Ghosh, Schaaf and Gormley, AdaFocal: Calibration-aware Adaptive Focal Loss, NeurIPS 2022
        (arXiv 2211.11838); the defaults are the paper's.

    Example:
        >>> import torch
        >>> loss = AdaFocalLoss()
        >>> loss(torch.zeros(1, 2), torch.tensor([0]))
        tensor(0.3466)
    """

    soft_targets = False
    focus: AdaptiveFocus

    def __init__(
        self,
        num_bins: int = 15,
        rate: float = 1.0,
        gamma_init: float = 1.0,
        gamma_min: float = -2.0,
        gamma_max: float = 20.0,
        threshold: float = 0.2,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_adafocal",
    ) -> None:
        focus = AdaptiveFocus(num_bins, rate, gamma_init, gamma_min, gamma_max, threshold)
        super().__init__(focus, "focus", loss_weight, ignore_index, loss_name)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Focal loss of each sample."""
        entropy, gamma = self._entropy_and_gamma(samples)
        return focal_weighted(entropy, gamma)

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean focal loss."""
        entropy, gamma = self._entropy_and_gamma(samples)
        if self.training:
            self.last_parts = FocusParts(samples.mean(entropy.detach()), samples.mean(gamma))
        return samples.mean(focal_weighted(entropy, gamma), weight, avg_factor)

    def _entropy_and_gamma(self, samples: Samples) -> tuple[Tensor, Tensor]:
        entropy = F.cross_entropy(samples.logits, samples.target, reduction="none")
        return entropy, self.focus.of((-entropy.detach()).exp())
