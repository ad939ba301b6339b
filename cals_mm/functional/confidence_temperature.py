"""The temperature at which the mean confidence of a model equals its accuracy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["confidence_temperature"]

_TOLERANCE = 1e-10
"""The search ends when the temperature changes by less than this factor."""
_MAX_STEPS = 100
_CHUNK = 2**20
"""Number of logits converted to float64 at a time."""


@torch.no_grad()
def confidence_temperature(
    logits: Tensor, accuracy: float, minimum: float = 1 / 64, maximum: float = 64.0
) -> float:
    r"""Find the temperature T at which the mean confidence equals the accuracy.

    .. math:: mean_i\, \max_k\, softmax(z_i / T)_k = accuracy

    T is above 1 for over-confident models and below 1 for under-confident ones. Unlike the
    difference between confidence and accuracy, it tells how to scale the logits: dividing them by T
    closes the gap. The mean confidence falls as T rises, so Newton steps in 1 / T find the
    bracketed root.

    Args:
        logits: (N, K) floating and finite, N >= 1.
        accuracy: Share of correct predictions, fraction in [0, 1].
        minimum: Smallest temperature, > 0; returned e.g. if all predictions are correct.
        maximum: Largest temperature; returned if the accuracy is at chance level or below.

    Returns:
        The temperature, in [minimum, maximum].

    Raises:
        ValueError: For invalid shapes or values.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
        >>> print(f"{confidence_temperature(logits, accuracy=0.75):.4f}")  # 4 / log(3)
        3.6410
    """
    if logits.ndim != 2 or not logits.numel():
        raise ValueError(f"need logits (N, K) of at least one sample, got {tuple(logits.shape)}")
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy must be a fraction in [0, 1], got {accuracy}")
    if not 0 < minimum <= maximum < math.inf:
        raise ValueError(f"need 0 < minimum <= maximum, got {minimum} and {maximum}")
    if not torch.isfinite(logits).all():
        raise ValueError("logits hold NaN or Inf")
    low, high = 1 / maximum, 1 / minimum
    if _confidence(logits, low)[0] >= accuracy:
        return maximum
    if _confidence(logits, high)[0] <= accuracy:
        return minimum
    inverse = min(max(1.0, low), high)
    for _ in range(_MAX_STEPS):
        confidence, slope = _confidence(logits, inverse)
        if confidence == accuracy:
            break
        if confidence > accuracy:
            high = inverse
        else:
            low = inverse
        newton = inverse - (confidence - accuracy) / slope if slope > 0 else math.nan
        step_to = newton if low < newton < high else math.sqrt(low * high)
        if abs(step_to - inverse) <= _TOLERANCE * inverse:
            inverse = step_to
            break
        inverse = step_to
    return 1 / inverse


def _confidence(logits: Tensor, inverse: float) -> tuple[float, float]:
    """Mean confidence at 1 / T, and its derivative in 1 / T."""
    confidence = slope = 0.0
    for rows in logits.split(max(1, _CHUNK // logits.shape[1])):
        distance = (rows.amax(1, keepdim=True) - rows).double()
        weight = (-inverse * distance).exp()
        largest = 1 / weight.sum(1)
        confidence += float(largest.sum())
        slope += float((largest.square() * (distance * weight).sum(1)).sum())
    return confidence / len(logits), slope / len(logits)
