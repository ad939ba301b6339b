"""A margin from the logits of a model that was trained without one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .temperature import TemperatureScaler

__all__ = ["MarginSuggestion", "suggest_margin"]

MIN_GAP = 0.01
"""Mean confidence above accuracy, as a fraction, below which a model counts as calibrated."""


class MarginSuggestion(NamedTuple):
    """What held-out logits say about the margin."""

    margin: float
    """Suggested margin, in logit units."""
    temperature: float
    """Temperature that minimises the held-out negative log-likelihood."""
    gap: float
    """Mean confidence minus accuracy, a fraction; positive for over-confident models."""
    overconfident: bool
    """Whether there is anything for CALS to mend."""


@torch.no_grad()
def suggest_margin(logits: Tensor, target: Tensor, quantile: float = 0.5) -> MarginSuggestion:
    """Margin that a calibrated version of a model would just keep.

    Dividing the logits by the temperature that minimises the held-out NLL gives a model that is
    calibrated on average. The margin is its typical logit distance: for each sample the mean
    distance from the largest logit to the others, and a quantile of that over the samples. Such
    a margin allows typical distances and penalises larger ones.

    Args:
        logits: (N, K) floating, finite, of held-out samples.
        target: (N,) int64.
        quantile: Quantile over samples, in (0, 1); a smaller one calibrates more strongly.

    Returns:
        The suggestion.

    Raises:
        ValueError: Without samples, for a quantile outside (0, 1), or logits that are not finite.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[8.0, 0.0], [0.0, 8.0], [8.0, 0.0], [8.0, 0.0]])
        >>> suggestion = suggest_margin(logits, torch.tensor([0, 1, 0, 1]))
        >>> print(f"{suggestion.margin:.2f} {suggestion.temperature:.2f}")
        1.10 7.28
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must be between 0 and 1, got {quantile}")
    temperature = float(TemperatureScaler().fit(logits, target).temperature)
    confidence, predicted = logits.double().softmax(1).max(1)
    gap = float(confidence.mean() - (predicted == target).double().mean())
    distance = (logits.amax(1, keepdim=True) - logits).double() / temperature
    typical = distance.sum(1) / (logits.shape[1] - 1)
    # A sorted index, for torch.quantile refuses more than 2^24 values.
    position = round(quantile * (len(typical) - 1))
    margin = float(typical.kthvalue(position + 1).values)
    return MarginSuggestion(margin, temperature, gap, gap > MIN_GAP and temperature > 1)
