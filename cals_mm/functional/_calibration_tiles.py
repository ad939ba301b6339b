"""The part of the calibration statistics that touches every logit, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import bin_index

__all__ = ["LogitSums", "samples_at", "sum_tile", "tiles_of", "widened"]

_CACHE_ELEMENTS = 1 << 19
"""Elements of a tile on the CPU: a tile and its float64 copy stay in cache."""
_WIDENED = 1 << 22
"""Half-precision elements that are copied to float32 at a time."""
_DEVICE_ELEMENTS = 1 << 24
"""Elements of a tile on an accelerator, where every operation is a kernel launch."""


class LogitSums(NamedTuple):
    """Results of one tile, or of all."""

    confidence: Tensor
    """Largest probability of each valid sample, (V,) float32 or float64."""
    of_label: Tensor
    """Probability of its label, (V,)."""
    class_total: Tensor
    """Sum of each class's probability, (K,) float64."""
    square_total: Tensor
    """Sum of all squared probabilities, () float64."""
    class_count: Tensor
    """Number of probabilities of each class per bin, except the lowest bin, (K, bins) int64."""
    class_probability: Tensor
    """Their sums, (K, bins) float64."""


def samples_at(logits: Tensor, positions: Tensor) -> Tensor:
    """Logits (n, K) of the samples at some positions of the flattened target."""
    if logits.ndim == 2:
        return logits[positions]
    images = logits.flatten(2)
    size = images.shape[2]
    return images[positions.div(size, rounding_mode="floor"), :, positions.remainder(size)]


def widened(
    logits: Tensor, target: Tensor, valid: Tensor | None, dtype: torch.dtype
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield the input unchanged, or a few samples or images at a time in the arithmetic's dtype."""
    step = len(logits) if logits.dtype == dtype else max(1, _WIDENED // logits[0].numel())
    for start in range(0, len(logits), step):
        part = slice(start, start + step)
        yield logits[part].to(dtype), target[part], None if valid is None else valid[part]


class Tile(NamedTuple):
    scores: Tensor  # (rows, K), or (K, columns)
    target: Tensor
    valid: Tensor | None
    class_dim: int


def tiles_of(logits: Tensor, target: Tensor, valid: Tensor | None) -> Iterator[Tile]:
    """Yield views of the input; images stay planar, as transposing them would cost too much."""
    num_classes = logits.shape[1]
    limit = _CACHE_ELEMENTS if logits.device.type == "cpu" else _DEVICE_ELEMENTS
    step = max(1, limit // num_classes)
    step = step - step % 8 if step > 8 else step
    if logits.ndim == 2 or logits.stride(1) == 1:
        rows, labels = logits.movedim(1, -1).reshape(-1, num_classes), target.reshape(-1)
        masks = None if valid is None else valid.reshape(-1)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            mask = None if masks is None else masks[part]
            yield Tile(rows[part], labels[part], mask, 1)
        return
    for number, (image, labels) in enumerate(
        zip(logits.flatten(2), target.flatten(1), strict=True)
    ):
        masks = None if valid is None else valid[number].flatten()
        for start in range(0, image.shape[1], step):
            part = slice(start, start + step)
            mask = None if masks is None else masks[part]
            yield Tile(image[:, part], labels[part], mask, 0)


def sum_tile(
    tile: Tile, dtype: torch.dtype, num_bins: int, end: float, probabilities: bool
) -> LogitSums | None:
    scores, target, valid, class_dim = tile
    if valid is not None and not valid.all():
        index = valid.nonzero().squeeze(1)
        if not len(index):
            return None
        scores, target = scores.index_select(1 - class_dim, index), target[index]
    if scores.dtype != dtype:
        scores = scores.to(dtype)
    probability = scores.contiguous() if probabilities else scores.softmax(class_dim)
    exact = probability.double()
    flat, shape = probability.view(-1), (probability.shape[class_dim], num_bins)
    # Nearly all probabilities lie in the lowest bin; its sums follow from the totals.
    above = _nonzero(flat > end)
    high = flat.index_select(0, above)
    if class_dim == 1:
        classes = above.remainder_(shape[0])
    else:
        classes = above.div_(len(target), rounding_mode="floor")
    index = bin_index(high, num_bins).add_(classes, alpha=num_bins)
    size = shape[0] * num_bins
    return LogitSums(
        probability.amax(class_dim),
        probability.gather(class_dim, target.unsqueeze(class_dim)).squeeze(class_dim),
        exact.sum(1 - class_dim),
        torch.dot(exact.view(-1), exact.view(-1)),
        torch.bincount(index, minlength=size).view(shape),
        # bincount returns integers for an empty index, hence the conversion.
        torch.bincount(index, high.double(), minlength=size).double().view(shape),
    )


def _nonzero(mask: Tensor) -> Tensor:
    """Indices of the true values of a flat mask."""
    if mask.device.type == "cpu":
        return torch.from_numpy(mask.numpy().nonzero()[0])  # five times as fast as torch's
    return mask.nonzero().squeeze(1)
