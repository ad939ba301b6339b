"""Sums of single images, from which the figures of resampled test sets follow.

Pixels of an image are not independent, images nearly are. So the noise of a figure over pixels is
found by drawing whole images again, for which the sums of each are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

import torch
from torch import Tensor

from ._calibration_bins import NUM_CELLS, CalibrationStatistics
from ._calibration_pass import calibration_statistics

__all__ = ["image_sums", "mean_intersection_over_union", "resampled_statistics"]

_MERGED = 32
"""Fine cells of the confidence that are merged to one, which bounds the size of an image's sums."""
PREDICTED = "class_predicted"


@torch.no_grad()
def image_sums(
    logits: Tensor, target: Tensor, *, num_bins: int = 15, ignore_index: int | None = 255
) -> dict[str, Tensor]:
    """Compute the sums of one image, of size O(num_classes x num_bins) whatever its pixels.

    Args:
        logits: (K, H, W) floating.
        target: Labels (H, W) int64.
        num_bins: Number of equal-width bins of the confidence.
        ignore_index: Label to ignore. None ignores no label.

    Returns:
        The tensors of :class:`CalibrationStatistics` by name, with 32 cells of the fine grid merged
        to one, and ``class_predicted``: pixels for which each class is predicted, (K,) int64.

    Example:
        >>> import torch
        >>> sums = image_sums(torch.zeros(3, 4, 5), torch.zeros(4, 5, dtype=torch.long))
        >>> sums["bin_count"].sum(), sums["class_predicted"]
        (tensor(20), tensor([20,  0,  0]))
    """
    sums = calibration_statistics(
        logits[None], target[None], num_bins=num_bins, ignore_index=ignore_index
    ).to_dict()
    for name in ("cell_count", "cell_correct", "cell_confidence"):
        sums[name] = _merged(sums[name])
    predicted = logits.argmax(0)
    if ignore_index is not None:
        predicted = predicted[target.to(predicted.device) != ignore_index]
    sums[PREDICTED] = torch.bincount(predicted.flatten().cpu(), minlength=len(logits))
    return sums


def resampled_statistics(
    sums: Mapping[str, Tensor], weights: Tensor
) -> Iterator[CalibrationStatistics]:
    """Statistics of test sets in which each image stands a given number of times.

    Args:
        sums: Results of :func:`image_sums`, stacked, (I, ...) each.
        weights: How often each image is drawn, (D, I) integers.

    Yields:
        The statistics of each draw.
    """
    weights = weights.double()
    names = [field.name for field in fields(CalibrationStatistics)]
    drawn = {name: weights @ sums[name].double().reshape(len(sums[name]), -1) for name in names}
    for number in range(len(weights)):
        yield CalibrationStatistics(
            **{
                name: drawn[name][number].reshape(sums[name].shape[1:]).to(sums[name].dtype)
                for name in names
            }
        )


def mean_intersection_over_union(sums: Mapping[str, Tensor], weights: Tensor) -> Tensor:
    """Mean over classes of intersection over union, for test sets drawn from images.

    Args:
        sums: As of :func:`resampled_statistics`.
        weights: As of :func:`resampled_statistics`.

    Returns:
        (D,) float64, fractions in [0, 1]; classes without labels and predictions are left out.
    """
    weights = weights.double()
    inside = weights @ sums["class_correct"].double()
    labels = weights @ sums["class_positive"].sum(-1).double()
    union = weights @ sums[PREDICTED].double() + labels - inside
    return (inside / union).nanmean(1)


def _merged(cells: Tensor) -> Tensor:
    """Add up neighbouring cells of each octave; those at both ends stay."""
    inner = cells[1 : NUM_CELLS - 1].reshape(-1, _MERGED).sum(1)
    return torch.cat([cells[:1], inner, cells[-1:]])
