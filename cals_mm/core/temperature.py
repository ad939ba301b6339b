"""Temperature scaling: one number that divides all logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TemperatureScaler"]


class TemperatureScaler(nn.Module):
    """Divide logits by the temperature that minimises the negative log-likelihood.

    The likelihood is convex in the inverse temperature, so the minimum is found by Newton steps
    that a bracket keeps from leaving the bounds; all arithmetic is float64. The order of the
    logits, and with it every prediction, stays.

    Args:
        minimum: Smallest temperature, > 0.
        maximum: Largest temperature.

    Attributes:
        temperature: () float; above 1 where the model was over-confident.

    Raises:
        ValueError: If the bounds are not positive and increasing.

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
        if not 0 < minimum < maximum:
            raise ValueError(f"need 0 < minimum < maximum, got {minimum} and {maximum}")
        self.minimum = minimum
        self.maximum = maximum
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits of any shape divided by the temperature."""
        return logits / self.temperature.to(logits.dtype)

    @torch.no_grad()
    def fit(self, logits: Tensor, target: Tensor, max_steps: int = 100) -> TemperatureScaler:
        """Find the temperature on held-out samples.

        Args:
            logits: (N, K) floating and finite.
            target: (N,) int64.
            max_steps: Bound on Newton steps; about ten are needed.

        Returns:
            The scaler itself.

        Raises:
            ValueError: Without samples, or for logits that are NaN or infinite.
        """
        if logits.ndim != 2 or len(logits) == 0 or target.shape != logits.shape[:1]:
            raise ValueError(
                f"need logits (N, K) and target (N,) with N > 0, got {tuple(logits.shape)} and "
                f"{tuple(target.shape)}"
            )
        if not torch.isfinite(logits).all():
            raise ValueError("cannot fit a temperature to logits that hold NaN or Inf")
        low, high = 1 / self.maximum, 1 / self.minimum
        inverse = 1.0
        for _ in range(max_steps):
            slope, curvature = _derivatives(logits, target, inverse)
            if slope > 0:
                high = inverse
            else:
                low = inverse
            newton = inverse - slope / curvature if curvature > 0 else float("nan")
            step_to = newton if low < newton < high else 0.5 * (low + high)
            if abs(step_to - inverse) <= 1e-10 * inverse:
                break
            inverse = step_to
        self.temperature.fill_(1 / inverse)
        return self


def _derivatives(logits: Tensor, target: Tensor, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean NLL in the inverse temperature."""
    slope = curvature = 0.0
    for rows, labels in zip(logits.split(65536), target.split(65536), strict=True):
        rows = rows.double()
        probability = F.softmax(inverse * rows, dim=1)
        mean = (probability * rows).sum(1)
        centred = rows - mean[:, None]
        slope += float((mean - rows.gather(1, labels[:, None])[:, 0]).sum())
        curvature += float((probability * centred**2).sum())
    return slope / len(logits), curvature / len(logits)
