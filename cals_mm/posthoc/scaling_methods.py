"""The scalers by name."""

from __future__ import annotations

from typing import Literal, get_args

from .class_scaling import ClassTemperatureScaler, VectorScaler
from .logit_scaler import LogitScaler
from .temperature import TemperatureScaler

__all__ = ["ScalingMethod", "make_scaler"]

ScalingMethod = Literal["temperature", "class", "vector"]


def make_scaler(method: ScalingMethod, num_classes: int, l2: float = 1e-3) -> LogitScaler:
    """Create a scaler, not yet fitted.

    Args:
        method: ``'temperature'``, one for all classes; ``'class'``, one per class; ``'vector'``,
            a weight and a bias per class.
        num_classes: K.
        l2: Strength of the penalty of ``'class'`` and ``'vector'``, > 0.

    Raises:
        ValueError: For an unknown method, or as raised by the scaler.

    Example:
        >>> type(make_scaler("class", 10)).__name__
        'ClassTemperatureScaler'
    """
    if method == "temperature":
        return TemperatureScaler()
    if method == "class":
        return ClassTemperatureScaler(num_classes, l2)
    if method == "vector":
        return VectorScaler(num_classes, l2)
    raise ValueError(f"method must be one of {', '.join(get_args(ScalingMethod))}, got {method!r}")
