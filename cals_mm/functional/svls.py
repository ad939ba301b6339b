"""Spatially varying label smoothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._window_loss import Rows, WindowTerm

__all__ = ["spatial_smoothing"]


def spatial_smoothing(target: Tensor) -> WindowTerm:
    r"""Difference between the cross entropy with soft neighbourhood labels and that of the label.

    .. math:: -\sum_k q_k \log p_k + \log p_y = z_y - \sum_k q_k z_k

    with the shares q of the labels in the window, which sum to 1.

    Args:
        target: Labels (N, H, W) int64.

    Reference:
        Islam and Glocker, Spatially Varying Label Smoothing: Capturing Uncertainty from Expert
        Annotations, IPMI 2021 (arXiv 2104.05788).
    """

    def term(
        place: Rows,
        logits: Tensor,
        shares: Tensor,
        weight: Tensor,
        gradient: Tensor | None,
        spare: Sequence[Tensor],
    ) -> Tensor:
        label = target[place.image, place.rows].unsqueeze(0)
        soft = shares.neg_().scatter_add_(0, label, torch.ones_like(weight).unsqueeze(0))
        value = (torch.mul(soft, logits, out=spare[0]).sum(0) * weight).sum(dtype=torch.float64)
        if gradient is not None:
            gradient += soft.mul_(weight)
        return value

    return term
