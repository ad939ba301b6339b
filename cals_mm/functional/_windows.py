"""Shares of the labels in the window around each pixel, by sliding sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .backends.threads import buffers

__all__ = ["MEAN", "LabelWindows", "Window", "check_images", "gaussian_window"]


class Window(NamedTuple):
    """Weights of a square window: the outer product of the taps, plus a weight at the centre."""

    taps: tuple[float, ...]
    """Weights along one dimension, an odd number."""
    own: float = 0.0
    """Added to the weight of the centre."""

    @property
    def reach(self) -> int:
        """Pixels on each side of the centre."""
        return len(self.taps) // 2

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return sum(self.taps) ** 2 + self.own


MEAN = Window((1.0, 1.0, 1.0))
"""The 3 x 3 window of equal weights."""


def gaussian_window(sigma: float) -> Window:
    r"""The 3 x 3 window whose centre weighs as much as its eight neighbours together.

    Neighbours are weighted with :math:`e^{-|j|^2 / (2 \sigma^2)}` by their distance.

    Args:
        sigma: In pixels, > 0.

    Raises:
        ValueError: If it is not a positive finite number.
    """
    if isinstance(sigma, bool) or not 0 < float(sigma) < math.inf:
        raise ValueError(f"sigma must be a positive finite number of pixels, got {sigma!r}")
    side = math.exp(-1 / (2 * float(sigma) ** 2))
    neighbours = (1 + 2 * side) ** 2 - 1
    return Window((side, 1.0, side), neighbours - 1)


class LabelWindows:
    """Label windows of a batch of images.

    Args:
        target: Labels (N, H, W) int64 in 0..K-1; any value for void pixels.
        valid: (N, H, W) bool, false for void pixels. None means that all are valid.
        num_classes: K.
        window: Weights of the window.
        padding: Treatment of pixels outside the image: 'labelled' leaves them out, so that shares
            are taken over the labelled pixels of a window; 'zeros' gives them class 0; 'nearest'
            copies the nearest pixel; 'empty' gives them no class but counts them in the divisor.
        dtype: Of the shares.

    Void pixels belong to no class and are not counted, whatever the padding.

    Example:
        >>> import torch
        >>> windows = LabelWindows(torch.tensor([[[0, 0, 1]]]), None, 2, MEAN, "labelled")
        >>> windows.shares(0, slice(0, 1))[1]
        tensor([[0.0000, 0.3333, 0.5000]])
    """

    def __init__(
        self,
        target: Tensor,
        valid: Tensor | None,
        num_classes: int,
        window: Window = MEAN,
        padding: str = "labelled",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.window = window
        # One more class for pixels of no class; comparisons are fast with one byte per label.
        narrow = torch.uint8 if num_classes < 256 else torch.int16
        code = target.to(narrow)
        if valid is not None:
            code = code.masked_fill(~valid, num_classes)
        counted = code != num_classes
        self.codes = _pad(code, window.reach, padding, 0 if padding == "zeros" else num_classes)
        counted = _pad(counted, window.reach, padding, padding in ("zeros", "empty"))
        self.classes = torch.arange(num_classes, dtype=narrow, device=target.device).view(-1, 1, 1)
        self.mass = _slide(counted.to(dtype), window)
        """Weight of the window's counted pixels, (N, H, W)."""

    def shares(self, image: int, rows: slice, out: Tensor | None = None) -> Tensor:
        """Shares of the labels in the windows of some rows of an image.

        Args:
            image: Index of the image.
            rows: Rows, as a slice with start and stop.
            out: (K, rows, W) floating, for the result. None allocates one.

        Returns:
            (K, rows, W); they sum to 1 over the classes, or to 0 where no pixel is counted.
        """
        codes = self.codes[image, rows.start : rows.stop + 2 * self.window.reach]
        mass = self.mass[image, rows]
        if out is None:
            out = mass.new_empty(len(self.classes), *mass.shape)
        codes = codes.expand(len(self.classes), -1, -1)
        (one_hot,) = buffers(1, codes, torch.bool, "windows")
        torch.eq(codes, self.classes, out=one_hot)
        equal = self.window.own == 0 and set(self.window.taps) == {1.0}
        # The sums of a window of equal weights are small integers.
        whole = equal and len(self.window.taps) < 16
        dtype = torch.uint8 if whole else mass.dtype
        counts, *spare = buffers(3, codes, dtype, "windows")
        sums = _slide(counts.copy_(one_hot), self.window, spare)
        return out.copy_(sums).mul_(inverse_or_zero(mass))


def inverse_or_zero(values: Tensor) -> Tensor:
    """1 / values, and 0 where they are 0."""
    return torch.where(values > 0, 1 / values, torch.zeros_like(values))


def check_images(name: str, logits: Tensor, cure: str) -> None:
    """Raise ``ValueError`` unless logits are those of images, (N, K, H, W)."""
    if logits.ndim != 4:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} are no images (N, K, H, W): {name} looks at "
            f"the labels of neighbouring pixels; {cure}"
        )


def _pad(values: Tensor, reach: int, padding: str, fill: int | bool) -> Tensor:
    if padding != "nearest" or not values.numel():
        return F.pad(values, (reach,) * 4, value=fill)
    for dim in (-2, -1):
        size = values.shape[dim]
        index = torch.arange(-reach, size + reach, device=values.device).clamp(0, size - 1)
        values = values.index_select(dim, index)
    return values


def _slide(values: Tensor, window: Window, spare: Sequence[Tensor] | None = None) -> Tensor:
    """Weighted sums over the windows that lie inside (..., H, W).

    Two spare tensors like the values take what is computed; none allocates them.
    """
    reach, taps = window.reach, window.taps
    size = [values.shape[dim] - 2 * reach for dim in (-2, -1)]
    result = values
    for dim, length, place in zip((-1, -2), reversed(size), spare or (None, None), strict=True):
        parts = [result.narrow(dim, start, length) for start in range(2 * reach + 1)]
        out = None if place is None else place.view(-1)[: parts[0].numel()].view(parts[0].shape)
        if values.dtype == torch.uint8:
            result = torch.add(parts[0], parts[1], out=out)
            for part in parts[2:]:
                result += part
        else:
            result = torch.mul(parts[0], taps[0], out=out)
            for part, tap in zip(parts[1:], taps[1:], strict=True):
                result.add_(part, alpha=tap)
    if window.own:
        centre = values.narrow(-1, reach, size[1]).narrow(-2, reach, size[0])
        result.add_(centre, alpha=window.own)
    return result
