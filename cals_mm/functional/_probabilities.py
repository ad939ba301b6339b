"""Detect probabilities passed as logits, which would silently give wrong results."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["NOT_LOGITS", "are_probabilities"]

NOT_LOGITS = (
    "the logits are probabilities: every sample's are non-negative and sum to 1. Give the scores "
    "before the softmax, the logarithm of these, or say that they are probabilities where that "
    "can be said (probabilities=True)"
)

_LOOKED_AT = 4096
"""Number of samples to check in each batch, evenly spread."""


@torch.no_grad()
def are_probabilities(logits: Tensor) -> bool:
    """Whether the scores of every sample are non-negative and sum to 1, unlike logits.

    Args:
        logits: (N, K) or (N, K, ...) floating.

    Example:
        >>> are_probabilities(torch.tensor([[0.2, 0.8], [1.0, 0.0]]))
        True
        >>> are_probabilities(torch.tensor([[0.2, 0.8], [1.0, 0.5]]))
        False
    """
    if logits.ndim < 2 or not logits.numel():
        return False
    rows = logits.flatten(2) if logits.ndim > 2 else logits[:, :, None]
    rows = rows[:: -(-rows.shape[0] // _LOOKED_AT)]
    rows = rows[:, :, :: -(-rows.shape[0] * rows.shape[2] // _LOOKED_AT)]
    few = rows[:1, :, :1].float()
    for part in (few, rows):  # usually the first sample decides
        tolerance = 2e-2 if torch.finfo(rows.dtype).eps > 1e-4 else 1e-3
        wide = part.float()
        if not bool((wide.amin() >= 0) & ((wide.sum(1) - 1).abs().amax() <= tolerance)):
            return False
    return True
