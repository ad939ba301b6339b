"""Errors among the confident pixels of each image, at many confidence thresholds."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["AcceptedErrors"]

# From 0 to 1 - 1e-7, with distances to 1 in geometric steps, as most confidences are close to 1.
_LADDER = torch.cat([torch.zeros(1).double(), 1 - 10 ** -(torch.arange(1, 225).double() / 32)])


class AcceptedErrors:
    """Count the accepted and the wrongly accepted pixels of each image.

    A pixel is accepted at a threshold if its largest probability reaches it. Each image takes 225
    pairs of numbers, regardless of its size.

    Args:
        ignore_index: Label to ignore. None ignores no label.

    Attributes:
        thresholds: (225,) float64, ascending from 0, where all pixels are accepted, to 1 - 1e-7.

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
        """Wrongly predicted ones among them, (n, 225) int64."""
        return self._table(self._wrong)

    @torch.no_grad()
    def update(
        self, logits: Tensor, target: Tensor, *, probabilities: bool = False
    ) -> AcceptedErrors:
        """Add images; those without a valid pixel are left out.

        Args:
            logits: (N, K, H, W) floating: logits, or probabilities if ``probabilities`` is true.
            target: (N, H, W) of any integer type.
            probabilities: Whether ``logits`` holds probabilities.

        Returns:
            The object itself.

        Raises:
            ValueError: If shapes do not fit, or valid pixels have NaN or infinite logits.
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
            # The number of thresholds that each pixel reaches gives the pixels at each threshold.
            reached = torch.searchsorted(-self._doubts.to(doubt.device), -doubt, right=True)
            wrong = reached[predicted != labels[valid]]
            for table, numbers in ((self._accepted, reached), (self._wrong, wrong)):
                counts = torch.bincount(numbers, minlength=len(self.thresholds) + 1)
                table.append(counts.flip(0).cumsum(0).flip(0)[1:].cpu())
        return self

    @property
    def _doubts(self) -> Tensor:
        """Largest distance of an accepted confidence to 1 at each threshold, descending."""
        return 1 - self.thresholds

    def _table(self, rows: list[Tensor]) -> Tensor:
        return torch.stack(rows) if rows else torch.zeros(0, len(self.thresholds)).long()


def doubt_of(logits: Tensor, probabilities: bool) -> tuple[Tensor, Tensor]:
    """One minus the largest probability, (N,) float64, and its class, (N,), of (N, K).

    Computed as the sum over the other classes, which stays accurate where the largest probability
    rounds to 1.
    """
    predicted = logits.argmax(1, keepdim=True)
    if probabilities:
        parts = logits.double()
    else:
        parts = logits.double()
        parts = (parts - parts.gather(1, predicted)).exp()
    others = parts.scatter(1, predicted, 0.0).sum(1)
    return others / (others + parts.gather(1, predicted)[:, 0]), predicted[:, 0]
