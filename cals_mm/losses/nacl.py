"""Neighbour-aware calibration, for segmentation."""

from __future__ import annotations

from typing import Literal

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._normalisation import inverse
from cals_mm.functional._samples import Samples
from cals_mm.functional._window_loss import window_loss
from cals_mm.functional._windows import MEAN, LabelWindows, gaussian_window
from cals_mm.functional.nacl import neighbour_distance

from ._arguments import check_not_negative
from ._image_loss import ImageLoss

__all__ = ["NACLLoss"]


@MODELS.register_module()
class NACLLoss(ImageLoss):
    r"""Cross entropy plus the distance of the logits from the labels around each pixel (NACL).

    .. math:: L = CE + \frac{w}{K N} \sum_i \sum_k |\tau_{ik} - z_{ik}|

    over the N valid pixels, or the same with the squared distance. :math:`\tau_{ik}` is the share
    of label k in the 3 x 3 window around pixel i, including i itself ('mean'), or the soft label of
    :class:`SVLSLoss` with sigma 1 ('gaussian'). It is compared with the logits themselves, so
    adding a constant to all of them changes the loss.

    By default, pixels outside the image and void pixels belong to no class: shares are taken over
    the labelled pixels of a window. ``padding='zeros'`` follows the authors' code, where pixels
    outside the image have class 0 for 'mean' and copy the nearest pixel for 'gaussian'. MONAI's
    ``NACLLoss`` gives pixels outside the image no class but still divides by 9.

    Args:
        weight: Weight w of the distance.
        distance: 'l1', or 'l2' for the squared distance.
        prior: 'mean' or 'gaussian'.
        padding: 'labelled' or 'zeros'.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Murugesan et al., Neighbor-Aware Calibration of Segmentation Networks with Penalty-Based
        Constraints, Medical Image Analysis 2025 (arXiv 2401.14487); earlier as Trust Your
        Neighbours, MICCAI 2023 (arXiv 2303.06268).

    Example:
        >>> import torch
        >>> loss = NACLLoss(weight=0.5)
        >>> loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long))
        tensor(0.9431)
    """

    def __init__(
        self,
        weight: float = 0.1,
        distance: Literal["l1", "l2"] = "l1",
        prior: Literal["mean", "gaussian"] = "mean",
        padding: Literal["labelled", "zeros"] = "labelled",
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_nacl",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.weight = check_not_negative("weight", weight)
        self._term = neighbour_distance(distance)
        if prior not in ("mean", "gaussian"):
            raise ValueError(f"prior must be 'mean' or 'gaussian', got {prior!r}")
        if padding not in ("labelled", "zeros"):
            raise ValueError(f"padding must be 'labelled' or 'zeros', got {padding!r}")
        self.distance, self.prior, self.padding = distance, prior, padding
        self._window = MEAN if prior == "mean" else gaussian_window(1.0)
        self._outside = "nearest" if (prior, padding) == ("gaussian", "zeros") else padding

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy plus the weighted distance."""
        logits, target, valid = samples
        num_classes = logits.shape[1]
        windows = LabelWindows(
            target, valid, num_classes, self._window, self._outside, logits.dtype
        )
        scale = inverse(samples.num_valid) * (self.weight / num_classes)
        return window_loss(samples, windows, self._term, scale, weight, avg_factor).loss
