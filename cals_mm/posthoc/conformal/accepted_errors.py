"""Errors among the confident pixels of each image, at a ladder of confidence thresholds."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["AcceptedErrors"]

# From 0 to 1 - 1e-7, in equal ratios of the distance to 1: confidences crowd there.
_LADDER = torch.cat([torch.zeros(1).double(), 1 - 10 ** -(torch.arange(1, 225).double() / 32)])


class AcceptedErrors:
    """Count the accepted and the wrongly accepted pixels of every image.

    A pixel is accepted at a threshold that its largest probability reaches. Memory grows by 225
    pairs of numbers an image, whatever its size.

    Args:
        ignore_index: Label of the pixels that count for nothing; None: every pixel counts.

    Attributes:
        thresholds: (225,) float64, rising from 0, where every pixel is accepted, to 1 - 1e-7.

    Example:
        >>> p = torch.tensor([[0.9, 0.6], [0.1, 0.4]]).reshape(1, 2, 1, 2)
        >>> errors = AcceptedErrors().update(p, torch.tensor([[[0, 1]]]), probabilities=True)
        >>> errors.accepted[0, 0].item(), errors.wrong[0, 0].item()
        (2, 1)
    """

    thresholds = _LADDER

    def __init__(self, ignore_index: int | None = 255) -> None:
        self.ignore_index = ignore_index
        self._accepted: list[Tensor] = []
        self._wrong: list[Tensor] = []

    @property
    def accepted(self) -> Tensor:
        """Accepted pixels of each image at each threshold, (n, 225) int64."""
        return self._table(self._accepted)

    @property
    def wrong(self) -> Tensor:
        """Those that are predicted wrongly, (n, 225) int64."""
        return self._table(self._wrong)

    @torch.no_grad()
    def update(
        self, logits: Tensor, target: Tensor, *, probabilities: bool = False
    ) -> AcceptedErrors:
        """Add images; one without a valid pixel is left out.

        Args:
            logits: (N, K, H, W) floating: logits, or probabilities where the next says so.
            target: (N, H, W) of any integer type.
            probabilities: ``logits`` holds probabilities.

        Returns:
            The counts themselves.

        Raises:
            ValueError: For shapes that do not fit, or valid pixels with NaN or infinite logits.
        """
        if logits.ndim != 4 or target.shape != (len(logits), *logits.shape[2:]):
            raise ValueError(
                "need logits (N, K, H, W) with target (N, H, W), got "
                f"{tuple(logits.shape)} and {tuple(target.shape)}"
            )
        for scores, labels in zip(logits, target, strict=True):
            valid = torch.ones_like(labels, dtype=torch.bool)
            if self.ignore_index is not None:
                valid = labels != self.ignore_index
            if not valid.any():
                continue
            doubt, predicted = doubt_of(scores[:, valid].T, probabilities)
            if not doubt.isfinite().all():
                raise ValueError("an image holds NaN or infinite logits at valid pixels")
            # How many thresholds each pixel reaches, and from that, how many pixels each threshold.
            reached = torch.searchsorted(-self._doubts.to(doubt.device), -doubt, right=True)
            wrong = reached[predicted != labels[valid]]
            for table, numbers in ((self._accepted, reached), (self._wrong, wrong)):
                counts = torch.bincount(numbers, minlength=len(self.thresholds) + 1)
                table.append(counts.flip(0).cumsum(0).flip(0)[1:].cpu())
        return self

    @property
    def _doubts(self) -> Tensor:
        """Largest distance of the confidence to 1 at each threshold, falling."""
        return 1 - self.thresholds

    def _table(self, rows: list[Tensor]) -> Tensor:
        return torch.stack(rows) if rows else torch.zeros(0, len(self.thresholds)).long()


def doubt_of(logits: Tensor, probabilities: bool) -> tuple[Tensor, Tensor]:
    """One minus the largest probability, (N,) float64, and its class, (N,), of (N, K).

    The sum of the other classes, which keeps its digits where the largest probability rounds to 1.
    """
    predicted = logits.argmax(1, keepdim=True)
    if probabilities:
        parts = logits.double()
    else:
        parts = logits.double()
        parts = (parts - parts.gather(1, predicted)).exp()
    others = parts.scatter(1, predicted, 0.0).sum(1)
    return others / (others + parts.gather(1, predicted)[:, 0]), predicted[:, 0]
