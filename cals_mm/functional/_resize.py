"""Bilinear interpolation of one axis, and its transpose as a matrix."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["axis_matrix", "interpolate_axis", "source_positions"]


@lru_cache(maxsize=64)
def source_positions(
    source: int, output: int, align_corners: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Positions of the rows (or columns) of an interpolated image between those of its source.

    Output row i is ``(1 - share[i]) * source[index[i]] + share[i] * source[index[i] + 1]``, as in
    ``torch.nn.functional.interpolate`` to a given size with ``mode='bilinear'``.

    Args:
        source: Number of source rows.
        output: Number of output rows.
        align_corners: Whether the centres of the corner pixels coincide, rather than the corners.
        dtype: Of the shares.

    Returns:
        Index (output,) int32, and share (output,), which is 0 where the index is that of the last
        row. Both are cached: do not modify them.

    Example:
        >>> source_positions(2, 4, False, torch.float32)[1]
        tensor([0.0000, 0.2500, 0.7500, 0.0000])
    """
    # In float64, since float32 positions in large images lose digits of the share.
    position = torch.arange(output, dtype=torch.float64)
    if align_corners:
        position *= (source - 1) / (output - 1) if output > 1 else 0.0
    else:
        position = ((position + 0.5) * (source / output) - 0.5).clamp_(min=0)
    index = position.floor().clamp_(max=source - 1)
    share = torch.where(index < source - 1, position - index, 0)
    return index.to(torch.int32), share.to(dtype)


def interpolate_axis(values: Tensor, index: Tensor, share: Tensor, dim: int) -> Tensor:
    """Interpolate along one dimension.

    Equal channels stay bitwise equal. Matrix products and ``torch.nn.functional.interpolate`` do
    not guarantee that, because their rounding depends on the position of an element.

    Args:
        values: (..., source, ...).
        index: (output,) int64, of :func:`source_positions`, on the device of the values.
        share: (output,) in the dtype of the values.
        dim: The dimension, negative.

    Returns:
        (..., output, ...).
    """
    here = values.index_select(dim, index)
    following = (index + 1).clamp_(max=values.shape[dim] - 1)
    difference = values.index_select(dim, following).sub_(here)
    return difference.mul_(share.view(-1, *[1] * (-dim - 1))).add_(here)


@lru_cache(maxsize=64)
def axis_matrix(
    source: int, output: int, align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The interpolation of one axis as a matrix (output, source), with at most two entries per row.

    Args:
        source: Number of source rows.
        output: Number of output rows.
        align_corners: As for :func:`source_positions`.
        dtype: Of the matrix.
        device: Of the matrix.

    Returns:
        The matrix. It is cached: do not modify it.
    """
    index, share = source_positions(source, output, align_corners, dtype)
    rows = torch.arange(output)
    matrix = torch.zeros(output, source, dtype=dtype)
    matrix[rows, index.long()] = 1 - share
    matrix[rows, (index.long() + 1).clamp(max=source - 1)] += share
    return matrix.to(device)
