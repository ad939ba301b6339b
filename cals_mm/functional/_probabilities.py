"""Detect probabilities and scores passed as logits, which would silently give wrong results."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["NOT_LOGITS", "LogitsCheck", "are_probabilities"]

NOT_LOGITS = (
    "the logits are probabilities: every sample's are non-negative and sum to 1. Give the scores "
    "before the softmax, the logarithm of these, or say that they are probabilities where that "
    "can be said (probabilities=True)"
)

_SCORES = (
    "the logits seem to be scores: none is negative, and the largest of a sample is at most 1 on "
    "average. A softmax of what a sigmoid, a cosine or mask classification (MaskFormer, "
    "Mask2Former) gives is no confidence; give the scores before the softmax"
)

_FEWEST = 100
"""Fewest samples that can show scores: a few logits may be positive by chance."""

_LEAST = 0.25
"""Least mean of the largest scores; those of an untrained model are smaller."""

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
    for part in _parts(logits):
        tolerance = 2e-2 if torch.finfo(part.dtype).eps > 1e-4 else 1e-3
        wide = part.float()
        if not bool((wide.amin() >= 0) & ((wide.sum(1) - 1).abs().amax() <= tolerance)):
            return False
    return True


class LogitsCheck:
    """Tell whether the logits of an evaluation are none, batch after batch.

    Example:
        >>> check = LogitsCheck()
        >>> check.add(torch.rand(200, 5))
        >>> check.warning()[:32]
        'the logits seem to be scores: no'
    """

    def __init__(self) -> None:
        self._sum_to_one = self._non_negative = True
        self._count, self._largest = 0, 0.0

    @torch.no_grad()
    def add(self, logits: Tensor) -> None:
        """Look at a batch of logits, (N, K) or (N, K, ...) floating."""
        if not self._non_negative or not logits.numel():
            return
        for part in _parts(logits):
            if not bool(part.amin() >= 0):  # also for NaN
                self._non_negative = False
                return
        self._sum_to_one = self._sum_to_one and are_probabilities(logits)
        largest = part.float().amax(1)
        self._count += largest.numel()
        self._largest += float(largest.sum())

    def warning(self) -> str | None:
        """One line if what was seen are no logits."""
        if not self._non_negative or not self._count:
            return None
        if self._sum_to_one:
            return NOT_LOGITS
        largest = self._largest / self._count
        if self._count < _FEWEST or not _LEAST <= largest <= 1:
            return None
        return _SCORES  # without figures, so that loggers leave repetitions out


def _parts(logits: Tensor) -> tuple[Tensor, Tensor]:
    """One sample, which usually decides, and all samples to look at; (n, K, m) each."""
    rows = logits.flatten(2) if logits.ndim > 2 else logits[:, :, None]
    rows = rows[:: -(-rows.shape[0] // _LOOKED_AT)]
    rows = rows[:, :, :: -(-rows.shape[0] * rows.shape[2] // _LOOKED_AT)]
    return rows[:1, :, :1], rows
