"""A margin that is adjusted by the confidence temperature of held-out data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from cals_mm.functional.violation import check_margin

from ._wide_buffers import WideBuffers, state_dtype
from .held_out_confidence import HeldOutConfidence

__all__ = ["AutoMargin"]


class AutoMargin(WideBuffers):
    r"""Lower the margin of an over-confident model, and raise that of an under-confident one.

    Dividing the logits by the confidence temperature T would close the gap between confidence and
    accuracy, and the logits of a trained model scale with the margin that it keeps. So the update
    after each validation is

    .. math:: m \leftarrow m / T

    within these limits:

    - Gaps of up to ``errors`` standard errors are noise, which does not change the margin.
    - The margin changes by at most a factor ``largest_step``.
    - It rises to at most ``slack`` times a suggested margin, which is the typical distance of the
      logits divided by T, and over-confidence lowers it at least to there. A larger margin would
      constrain hardly anything, and a network that under-fits is under-confident at any margin, so
      its margin would rise without end.
    - It falls to no less than half of the suggested margin, as the multipliers need time to
      enforce it.

    The first time, the margin falls to the suggested one, divided by the square root of the factor
    by which T has risen since the previous validation: it rises on until the multipliers take
    effect. This requires over-confidence at two validations in a row, or at one at which the
    accuracy has risen by no more than the gap since the previous validation: while it rises
    faster, over-confidence may be temporary. Until then the margin does not fall.

    Args:
        start: Initial margin, in logit units.
        largest_step: Largest factor of a single update, > 1.
        slack: Largest multiple of the suggested margin, >= 1.
        errors: Size of a gap that may be noise, in standard errors, >= 0.
        margin_min: Smallest margin, in logit units.
        margin_max: Largest margin, in logit units.

    Attributes:
        margin: () float.
        temperature: Temperature that would have closed the gap at the last validation, () float.
        gap: Mean confidence minus accuracy at the last validation, a fraction, () float.
        accuracy: Accuracy at the last validation, a fraction, () float.
        overconfident: Whether the gap exceeded ``errors`` standard errors at the last validation,
            () bool.
        engaged: Whether the margin has fallen for the first time, () bool.
        value: The margin as a float, so that a training step need not wait for the device.

    Raises:
        ValueError: For an invalid argument.

    Example:
        >>> margin = AutoMargin()
        >>> seen = HeldOutConfidence(accuracy=0.7, gap=0.1, gap_error=0.01, temperature=1.5,
        ...                          distance=9.0)
        >>> margin.step_(seen)  # it has risen from 0
        >>> margin.value
        10.0
        >>> margin.step_(seen)
        >>> margin.value
        6.0
    """

    margin: Tensor
    temperature: Tensor
    gap: Tensor
    accuracy: Tensor
    overconfident: Tensor
    engaged: Tensor

    def __init__(
        self,
        start: float = 10.0,
        largest_step: float = 2.0,
        slack: float = 1.1,
        errors: float = 1.0,
        margin_min: float = 1.0,
        margin_max: float = 50.0,
    ) -> None:
        super().__init__()
        if not 1 < largest_step < math.inf:
            raise ValueError(f"largest_step must be greater than 1, got {largest_step}")
        if not 1 <= slack < math.inf:
            raise ValueError(f"slack must be at least 1, got {slack}")
        if not 0 <= errors < math.inf:
            raise ValueError(f"errors must be at least 0, got {errors}")
        if not 0 < margin_min <= check_margin(start) <= margin_max < math.inf:
            raise ValueError(
                "margin_min, the first margin and margin_max must satisfy 0 < margin_min <= margin "
                f"<= margin_max, got {margin_min}, {start} and {margin_max}"
            )
        self.largest_step = largest_step
        self.slack = slack
        self.errors = errors
        self.margin_min = margin_min
        self.margin_max = margin_max
        numbers = {"margin": start, "temperature": 1.0, "gap": 0.0, "accuracy": 0.0}
        for name, number in numbers.items():
            self.register_buffer(name, torch.tensor(float(number), dtype=state_dtype()))
        for name in ("overconfident", "engaged"):
            self.register_buffer(name, torch.tensor(False))
        # Rounded like the buffer, and known even if the model is built on the meta device.
        self.value = torch.tensor(float(start), dtype=state_dtype(), device="cpu").item()

    @torch.no_grad()
    def step_(self, seen: HeldOutConfidence) -> None:
        """Update the margin from the results of a validation."""
        noise = abs(seen.gap) <= self.errors * seen.gap_error
        overconfident = seen.gap > 0 and not noise
        lasting = bool(self.overconfident) or seen.accuracy - float(self.accuracy) <= seen.gap
        engages = overconfident and not self.engaged and lasting
        if engages:
            self.engaged.fill_(True)
        self.widen_()
        self.margin.fill_(self._wanted(seen, 1.0 if noise else seen.temperature, engages))
        self.value = float(self.margin)
        self.temperature.fill_(seen.temperature)
        self.gap.fill_(seen.gap)
        self.accuracy.fill_(seen.accuracy)
        self.overconfident.fill_(overconfident)

    def _wanted(self, seen: HeldOutConfidence, divisor: float, engages: bool) -> float:
        now, suggestion = self.value, seen.distance / seen.temperature
        wanted = now / divisor
        if wanted >= now:
            wanted = min(wanted, max(now, self.slack * suggestion))
        elif not self.engaged:
            return now
        else:
            wanted = min(
                wanted, suggestion / self._half_rise(seen) if engages else self.slack * suggestion
            )
            wanted = max(wanted, min(now, suggestion / 2))
        wanted = min(max(wanted, now / self.largest_step), now * self.largest_step)
        return min(max(wanted, self.margin_min), self.margin_max)

    def _half_rise(self, seen: HeldOutConfidence) -> float:
        """Half of the rise of the temperature since the last validation, as a factor."""
        return math.sqrt(max(1.0, seen.temperature / max(1.0, float(self.temperature))))

    def curves(self) -> dict[str, Tensor]:
        """Margin, temperature and the gap in percent, () each."""
        return {"margin": self.margin, "temperature": self.temperature, "gap": 100 * self.gap}

    def remark(self) -> str:
        """Why the margin has not been lowered, if it has not."""
        if self.engaged:
            return ""
        if self.overconfident:
            return "the margin waits whether the over-confidence lasts"
        return "the model is not over-confident: the margin stays out of reach"

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.value = float(self.margin)

    def extra_repr(self) -> str:
        """Arguments shown by ``print``."""
        return f"margin={self.value:.4g}"
