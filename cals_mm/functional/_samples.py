"""The samples of a batch, checked, widened and masked for losses per sample."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._label_counts import valid_labels
from ._normalisation import check_logits_and_target, inverse

__all__ = ["Samples", "as_samples"]


class Samples(NamedTuple):
    """Matching logits and targets, and which samples are valid."""

    logits: Tensor
    """(N, K, ...) float32, or float64 if they were given so."""
    target: Tensor
    """Labels (N, ...) int64, 0 where not valid, or class probabilities like ``logits``."""
    valid: Tensor | None
    """(N, ...) bool, true for valid samples. None means all, as always with probabilities."""

    @property
    def soft(self) -> bool:
        """Whether the target holds class probabilities."""
        return self.target.is_floating_point()

    @property
    def num_valid(self) -> float | Tensor:
        """Number of valid samples; a tensor () if reading its value would be slow."""
        if self.valid is None:
            return float(self.logits.numel() // self.logits.shape[1])
        return self.valid.sum().to(self.logits.dtype)

    def keep(self, values: Tensor, weight: Tensor | None = None) -> Tensor:
        """Multiply values (N, ...) by their weights, and set them to 0 where not valid."""
        if weight is not None:
            weight = weight.to(values)
            # torch.where, not a product: a padded pixel may have any weight, and 0 x inf is not 0.
            values = values * (weight if self.valid is None else self._or_zero(weight))
        return values if self.valid is None else self._or_zero(values)

    def mean(
        self,
        values: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
    ) -> Tensor:
        """Mean over the valid samples; 0 with a zero gradient if there are none.

        Args:
            values: (N, ...) in the dtype of ``logits``.
            weight: Weights (N, ...).
            avg_factor: Divisor of the weighted sum, instead of the number of samples.

        Returns:
            Scalar in the dtype of ``values``.
        """
        return self.keep(values, weight).sum() * inverse(
            self.num_valid if avg_factor is None else avg_factor
        )

    def _or_zero(self, values: Tensor) -> Tensor:
        assert self.valid is not None
        return torch.where(self.valid, values, values.new_zeros(()))


def as_samples(logits: Tensor, target: Tensor, ignore_index: int | None = -100) -> Samples:
    """Check a batch and convert it for the losses.

    Args:
        logits: (N, K) or (N, K, ...) floating; half precision is widened to float32.
        target: Labels (N, ...) of an integer dtype, or class probabilities of the logits' shape.
        ignore_index: Label to ignore. None ignores no label.

    Returns:
        The samples.

    Raises:
        ValueError: If shapes do not fit, or labels are out of range (checked on the CPU only).

    Example:
        >>> import torch
        >>> samples = as_samples(torch.zeros(3, 2), torch.tensor([1, 255, 0]), ignore_index=255)
        >>> samples.target.tolist(), samples.mean(torch.tensor([1.0, 9.0, 2.0])).item()
        ([1, 0, 0], 1.5)
    """
    check_logits_and_target(logits, target)
    if logits.dtype != torch.float64:
        logits = logits.float()
    if target.is_floating_point():
        return Samples(logits, target.to(logits.dtype), None)
    target = target.long()
    valid = valid_labels(target, logits.shape[1], ignore_index)
    return Samples(logits, target if valid is None else target.masked_fill(~valid, 0), valid)
