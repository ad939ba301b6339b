"""Suggest a margin from the logits of a model trained without one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .temperature import TemperatureScaler

__all__ = ["MarginSuggestion", "suggest_margin"]

MIN_GAP = 0.01
"""Models with a smaller gap than this count as calibrated."""


class MarginSuggestion(NamedTuple):
    """A margin suggested by held-out logits."""

    margin: float
    """Suggested margin, in logit units."""
    temperature: float
    """Temperature that minimises the held-out negative log-likelihood."""
    gap: float
    """Mean confidence minus accuracy, a fraction; positive for over-confident models."""
    overconfident: bool
    """Whether the model is over-confident, so that CALS can help."""


@torch.no_grad()
def suggest_margin(logits: Tensor, target: Tensor, quantile: float = 0.5) -> MarginSuggestion:
    """Suggest the margin that a calibrated version of a model would just keep.

    Dividing the logits by the temperature that minimises the held-out NLL gives a model that is
    calibrated on average. The margin is its typical logit distance: the mean distance from the
    largest logit to the others in each sample, and a quantile of these over the samples. This
    margin allows typical distances and penalises larger ones.

    Args:
        logits: (N, K) floating, finite, of held-out samples.
        target: (N,) of any integer dtype.
        quantile: Quantile over samples, in (0, 1); smaller values calibrate more strongly.

    Returns:
        The suggestion.

    Raises:
        ValueError: If there are no samples, the quantile is outside (0, 1), or logits are not
            finite.

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
    gap = float(confidence.mean() - (predicted == target.to(predicted)).double().mean())
    distance = (logits.amax(1, keepdim=True) - logits).double() / temperature
    typical = distance.sum(1) / (logits.shape[1] - 1)
    # By sorting, since torch.quantile accepts at most 2^24 values.
    position = round(quantile * (len(typical) - 1))
    margin = float(typical.kthvalue(position + 1).values)
    return MarginSuggestion(margin, temperature, gap, gap > MIN_GAP and temperature > 1)
