"""Temperature scaling: one number that divides all logits."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .logit_scaler import LogitScaler, Passes

__all__ = ["TemperatureScaler"]

_MAX_STEPS = 100
_TOLERANCE = 1e-9
"""The search ends when the temperature changes by less than this factor."""


class TemperatureScaler(LogitScaler):
    """Divide logits by the temperature that minimises the negative log-likelihood.

    The negative log-likelihood is convex in the inverse temperature, so bracketed Newton steps find
    its minimum. The order of the logits stays the same, so no prediction changes unless scaled
    logits round to the same number.

    Args:
        minimum: Smallest temperature, > 0.
        maximum: Largest temperature.

    Attributes:
        temperature: () float; above 1 if the model was over-confident.

    Raises:
        ValueError: Unless 0 < minimum <= 1 <= maximum.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, Section 4.2.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
        >>> scaler = TemperatureScaler().fit(logits, torch.tensor([0, 0, 0, 1]))
        >>> scaler(logits).softmax(1)[0]
        tensor([0.7500, 0.2500])
    """

    temperature: Tensor

    def __init__(self, minimum: float = 0.01, maximum: float = 100.0) -> None:
        super().__init__()
        if not 0 < minimum <= 1 <= maximum < math.inf or minimum == maximum:
            raise ValueError(f"need 0 < minimum <= 1 <= maximum, got {minimum} and {maximum}")
        self.minimum = minimum
        self.maximum = maximum
        self.register_buffer("temperature", torch.ones(()))

    def linear(self) -> tuple[Tensor, Tensor]:
        """Inverse temperature () and a bias of 0."""
        return 1 / self.temperature, torch.zeros_like(self.temperature)

    def reset_(self) -> None:
        """Set the temperature to 1."""
        self.temperature.fill_(1)

    def solve_(self, passes: Passes) -> None:
        """Set the temperature to the minimum of the negative log-likelihood within the bounds."""
        low, high = 1 / self.maximum, 1 / self.minimum
        inverse = 1.0
        for _ in range(_MAX_STEPS):
            slope, curvature = _derivatives(passes, inverse)
            if slope == 0:
                break
            if slope > 0:
                high = inverse
            else:
                low = inverse
            newton = inverse - slope / curvature if curvature > 0 else math.nan
            step_to = newton if low < newton < high else math.sqrt(low * high)
            if abs(step_to - inverse) <= _TOLERANCE * inverse:
                break
            inverse = step_to
        self.temperature.fill_(1 / inverse)


def _derivatives(passes: Passes, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean NLL by the inverse temperature."""
    slope = curvature = 0.0
    for rows, labels in passes.rows():
        probability = F.softmax(inverse * rows, dim=1)
        mean = (probability * rows).sum(1)
        slope += float((mean - rows.gather(1, labels[:, None])[:, 0]).sum())
        curvature += float((probability * (rows - mean[:, None]).square()).sum())
    return slope / passes.count, curvature / passes.count
