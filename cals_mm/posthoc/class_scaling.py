"""Scaling with separate parameters for each class."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .logit_scaler import LogitScaler, Passes
from .newton import newton_minimise
from .temperature import TemperatureScaler

__all__ = ["ClassTemperatureScaler", "VectorScaler"]


class VectorScaler(LogitScaler):
    """Multiply each class's logit by a weight and add a bias.

    The fit minimises the mean negative log-likelihood plus a penalty on deviations from the best
    single temperature T. With weights (1 + u_k) / T and biases b_k, the penalty is

        l2 * sum_k (u_k - log(1 + u_k) + b_k^2 / 2)

    It is convex, keeps the weights positive and is about l2 (u_k^2 + b_k^2) / 2 for small u_k, so
    classes with few held-out samples stay close to the common temperature. Predictions may change,
    for better or worse.

    Args:
        num_classes: K.
        l2: Strength of the penalty, > 0; in nats of the mean over samples.

    Attributes:
        weight: (K,) float, > 0.
        bias: (K,) float.

    Raises:
        ValueError: For fewer than 2 classes or a strength that is not positive.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, Section 4.2 (vector
        scaling, there without the penalty).

    Example:
        >>> import torch
        >>> logits, target = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])
        >>> scaler = VectorScaler(2, l2=1e-6).fit(logits, target)
        >>> scaler(logits).softmax(1)[0]
        tensor([0.7500, 0.2500])
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, num_classes: int, l2: float = 1e-3) -> None:
        super().__init__()
        _check(num_classes, l2)
        self.num_classes = num_classes
        self.l2 = l2
        self.register_buffer("weight", torch.ones(num_classes))
        self.register_buffer("bias", torch.zeros(num_classes))

    def linear(self) -> tuple[Tensor, Tensor]:
        """Weight (K,) and bias (K,)."""
        return self.weight, self.bias

    def reset_(self) -> None:
        """Set the weights to 1 and the biases to 0."""
        self.weight.fill_(1)
        self.bias.zero_()

    def solve_(self, passes: Passes) -> None:
        """Set weights and biases to the minimum of the penalised negative log-likelihood."""
        weight, bias = _minimum(passes, len(self.weight), self.l2, with_bias=True)
        self.weight.copy_(weight)
        self.bias.copy_(bias)


class ClassTemperatureScaler(LogitScaler):
    """Divide each class's logit by its own temperature: vector scaling without a bias.

    It is fitted like :class:`VectorScaler`, with the same penalty. Unlike a single temperature, its
    result changes when a constant is added to all logits of a sample, so it is valid only for the
    model whose logits it was fitted to.

    Args:
        num_classes: K.
        l2: Strength of the penalty, > 0; in nats of the mean over samples.

    Attributes:
        temperature: (K,) float, > 0.

    Raises:
        ValueError: For fewer than 2 classes or a strength that is not positive.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, Section 4.2: vector
        scaling with a bias of 0, and the penalty of :class:`VectorScaler`.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
        >>> scaler = ClassTemperatureScaler(2).fit(logits, torch.tensor([0, 1, 1, 1]))
        >>> (scaler.temperature[0] > scaler.temperature[1]).item()
        True
    """

    temperature: Tensor

    def __init__(self, num_classes: int, l2: float = 1e-3) -> None:
        super().__init__()
        _check(num_classes, l2)
        self.num_classes = num_classes
        self.l2 = l2
        self.register_buffer("temperature", torch.ones(num_classes))

    def linear(self) -> tuple[Tensor, Tensor]:
        """Inverse temperatures (K,) and a bias of 0."""
        return 1 / self.temperature, torch.zeros_like(self.temperature)

    def reset_(self) -> None:
        """Set the temperatures to 1."""
        self.temperature.fill_(1)

    def solve_(self, passes: Passes) -> None:
        """Set the temperatures to the minimum of the penalised negative log-likelihood."""
        weight, _ = _minimum(passes, len(self.temperature), self.l2, with_bias=False)
        self.temperature.copy_(1 / weight)


def _check(num_classes: int, l2: float) -> None:
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    if not 0 < l2 < math.inf:
        raise ValueError(f"l2 must be a positive number, got {l2}")


def _minimum(passes: Passes, num_classes: int, l2: float, with_bias: bool) -> tuple[Tensor, Tensor]:
    """Weight and bias, (K,) float64, that minimise the penalised mean NLL."""
    single = TemperatureScaler()
    single.solve_(passes)
    inverse = 1 / float(single.temperature)
    size = num_classes * (1 + with_bias)

    def evaluate(point: Tensor) -> tuple[float, Tensor, Tensor]:
        change, bias = point[:num_classes], point[num_classes:]
        gradient = point.new_zeros(size)
        hessian = point.new_zeros(size, size)
        if not (change > -1).all():
            return math.inf, gradient, hessian
        value = 0.0
        for rows, labels in passes.rows():
            value += _add_sums(inverse * rows.cpu(), labels.cpu(), change, bias, gradient, hessian)
        stay = 1 + change
        penalty = l2 * float((change - stay.log()).sum() + bias.square().sum() / 2)
        gradient = gradient / passes.count + l2 * torch.cat([change / stay, bias])
        curvature = torch.cat([stay**-2, torch.ones_like(bias)])
        hessian = hessian / passes.count + l2 * curvature.diag()
        return value / passes.count + penalty, gradient, hessian

    point = newton_minimise(evaluate, torch.zeros(size, dtype=torch.float64))
    bias = point[num_classes:] if with_bias else torch.zeros_like(point)
    return inverse * (1 + point[:num_classes]), bias


def _add_sums(
    rows: Tensor, labels: Tensor, change: Tensor, bias: Tensor, gradient: Tensor, hessian: Tensor
) -> float:
    """Add the NLL's gradient and Hessian in (change, bias) over rows (n, K); return the NLL.

    With s_k = (1 + u_k) y_k + b_k and p = softmax(s), the derivative by u_k is (p_k - t_k) y_k,
    that by b_k is p_k - t_k, and the Hessian by s is diag(p) - p p^T.
    """
    scaled = rows * (1 + change) + (bias if len(bias) else 0)
    probability = F.softmax(scaled, dim=1)
    error = probability.clone()
    error[torch.arange(len(rows)), labels] -= 1
    # Derivatives of s_k: by u_k and, if there is one, by b_k.
    inputs = [rows, torch.ones_like(rows)] if len(bias) else [rows]
    gradient += torch.cat([(error * part).sum(0) for part in inputs])
    weighted = torch.cat([probability * part for part in inputs], dim=1)
    hessian -= weighted.T @ weighted
    num_classes = rows.shape[1]
    for i, first in enumerate(inputs):
        for j, second in enumerate(inputs):
            block = hessian[i * num_classes :, j * num_classes :][:num_classes, :num_classes]
            block.diagonal().add_((probability * first * second).sum(0))
    return float(F.cross_entropy(scaled, labels, reduction="sum"))
