"""Spatially varying label smoothing, for segmentation."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional._window_loss import window_loss
from cals_mm.functional._windows import LabelWindows, gaussian_window
from cals_mm.functional.svls import spatial_smoothing

from ._image_loss import ImageLoss

__all__ = ["SVLSLoss"]


@MODELS.register_module()
class SVLSLoss(ImageLoss):
    r"""Cross entropy with neighbourhood labels q: the mean of :math:`-\sum_k q_k \log p_k`.

    One half of the soft label q of a pixel is its own label, the other half those of its eight
    neighbours, weighted with :math:`e^{-|j|^2 / (2 \sigma^2)}` by their distance. The image is
    padded by repeating its outermost pixels. Void neighbours have weight 0, and the remaining
    weights, including the pixel's own, are scaled to sum to 1.

    With pixel samplers (``reduction_override='none'``) the loss of a pixel is its cross entropy.

    Args:
        sigma: Width of the Gaussian in pixels.
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Islam and Glocker, Spatially Varying Label Smoothing: Capturing Uncertainty from Expert
        Annotations, IPMI 2021 (arXiv 2104.05788).

    Example:
        >>> import torch
        >>> loss = SVLSLoss()
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])[None, :, None]
        >>> print(f"{loss(logits, torch.tensor([[[0, 1]]])):.4f}")
        0.4713
    """

    def __init__(
        self,
        sigma: float = 1.0,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_svls",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self._window = gaussian_window(sigma)
        self.sigma = float(sigma)

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy with the soft labels."""
        logits, target, valid = samples
        windows = LabelWindows(
            target, valid, logits.shape[1], self._window, "nearest", logits.dtype
        )
        term = spatial_smoothing(target)
        return window_loss(samples, windows, term, None, weight, avg_factor).loss
