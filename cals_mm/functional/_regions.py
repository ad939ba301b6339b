"""Interior and boundary of labelled objects."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

__all__ = ["boundary_pixels", "check_size"]


def check_size(size: int) -> int:
    """Return the edge length of a neighbourhood if it is valid.

    Raises:
        ValueError: If it is not an odd number of at least 3.
    """
    if isinstance(size, bool) or size != int(size) or size < 3 or size % 2 == 0:
        raise ValueError(f"the neighbourhood's size must be odd and at least 3, got {size}")
    return int(size)


def boundary_pixels(target: Tensor, size: int = 3, ignore_index: int | None = -100) -> Tensor:
    """Find the pixels whose neighbourhood contains another class.

    Ignored pixels and pixels outside the image belong to no class: they are not boundary pixels,
    and do not make their neighbours boundary pixels.

    Args:
        target: Labels (N, H, W), or (N, ...) of any number of further dimensions, integers.
        size: Edge length of the square neighbourhood in pixels, odd; 3 means the eight neighbours.
        ignore_index: Label that belongs to no class. None means that every label is a class.

    Returns:
        Bool of the shape of ``target``.

    Raises:
        ValueError: If the size is not odd and at least 3, or the target has too few dimensions.

    Reference:
        Murugesan et al., Class and Region-Adaptive Constraints for Network Calibration, MICCAI
        2024 (arXiv 2403.12364): regions of one class and of several.

    Example:
        >>> import torch
        >>> boundary_pixels(torch.tensor([[[0, 0, 0, 1]]]))
        tensor([[[False, False,  True,  True]]])
    """
    size = check_size(size)
    if target.ndim < 2:
        raise ValueError(
            f"labels of shape {tuple(target.shape)} have no neighbours: give (N, H, W)"
        )
    labelled = None if ignore_index is None else target != ignore_index
    boundary = torch.zeros_like(target, dtype=torch.bool)
    reach = range(-(size // 2), size // 2 + 1)
    for offset in product(reach, repeat=target.ndim - 1):
        if offset <= (0,) * len(offset):
            continue  # the opposite offset compares the same pairs
        here, there = _slices(offset), _slices(tuple(-step for step in offset))
        differs = target[here] != target[there]
        if labelled is not None:
            differs &= labelled[here] & labelled[there]
        boundary[here] |= differs
        boundary[there] |= differs
    return boundary


def _slices(offset: tuple[int, ...]) -> tuple[slice, ...]:
    """Slices of each dimension for which the pixels at ``offset`` lie inside the image."""
    inside = (slice(None, -step) if step > 0 else slice(-step, None) for step in offset)
    return slice(None), *inside
