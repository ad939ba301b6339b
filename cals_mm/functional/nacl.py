"""The distance of neighbour-aware calibration."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._window_loss import Rows, WindowTerm

__all__ = ["DISTANCES", "neighbour_distance"]

DISTANCES = ("l1", "l2")


def neighbour_distance(distance: str) -> WindowTerm:
    r"""Distance of the logits of each pixel from the labels around it, summed over classes.

    .. math:: \sum_k |\tau_k - z_k| \quad\text{or}\quad \sum_k (\tau_k - z_k)^2

    with the shares :math:`\tau` of the labels in the window, which are constants.

    Args:
        distance: 'l1' or 'l2'.

    Raises:
        ValueError: For an unknown distance.

    Reference:
        Murugesan et al., Neighbor-Aware Calibration of Segmentation Networks with Penalty-Based
        Constraints, Medical Image Analysis 2025 (arXiv 2401.14487).
    """
    if distance not in DISTANCES:
        raise ValueError(f"distance must be 'l1' or 'l2', got {distance!r}")
    return _absolute if distance == "l1" else _square


def _absolute(
    place: Rows,
    logits: Tensor,
    shares: Tensor,
    weight: Tensor,
    gradient: Tensor | None,
    spare: Sequence[Tensor],
) -> Tensor:
    difference = torch.sub(logits, shares, out=shares)
    size = torch.abs(difference, out=spare[0])
    value = (size.sum(0) * weight).sum(dtype=torch.float64)
    if gradient is not None:
        gradient += difference.sign_().mul_(weight)
    return value


def _square(
    place: Rows,
    logits: Tensor,
    shares: Tensor,
    weight: Tensor,
    gradient: Tensor | None,
    spare: Sequence[Tensor],
) -> Tensor:
    difference = torch.sub(logits, shares, out=shares)
    size = torch.square(difference, out=spare[0])
    value = (size.sum(0) * weight).sum(dtype=torch.float64)
    if gradient is not None:
        gradient += difference.mul_(2 * weight)
    return value
