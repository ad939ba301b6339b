"""A margin that finds itself: it follows the confidence temperature of held-out data."""

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
    r"""Controller of the margin: down while over-confident, up while under-confident.

    Dividing the logits by the confidence temperature T would close the gap between confidence
    and accuracy, and a margin that is kept scales the logits. So after each validation

    .. math:: m \leftarrow m / T

    with these limits:

    - T is the one that brings the confidence to within ``errors`` standard errors of the accuracy,
      and 1 where it is there already: what may be noise moves nothing.
    - The margin changes by a factor ``largest_step`` at most.
    - It rises no further, and over-confidence brings it down at least, to ``slack`` times the
      suggestion, the distance that is typical of the logits divided by T. Above that hardly
      anything is constrained: a network that under-fits is under-confident whatever the margin,
      and would wind it up.
    - It falls no lower than half of the suggestion, for the multipliers need time to enforce it.

    The first fall goes to the suggestion. It waits for over-confidence at two validations in a
    row, or at one since which the accuracy has risen by less than the gap: where it rises faster,
    the network may be over-confident for a moment only. Where there is none, the margin stays at
    its start.

    Args:
        start: First margin, in logit units.
        largest_step: That factor, > 1.
        slack: That factor, >= 1.
        errors: Standard errors of the gap that may be noise, >= 0.
        margin_min: Smallest margin, in logit units.
        margin_max: Largest margin, in logit units.

    Attributes:
        margin: () float; the buffers are in checkpoints.
        temperature: T of the last validation, with which the gap would vanish, () float.
        gap: Mean confidence minus accuracy there, a fraction, () float.
        accuracy: Accuracy there, a fraction, () float.
        overconfident: Whether it was over-confident by more than these errors, () bool.
        engaged: Whether the first fall is over, () bool.
        value: The margin as a number, so that a training step does not wait for the device.

    Raises:
        ValueError: For an argument out of its range.

    Example:
        >>> margin = AutoMargin()
        >>> seen = HeldOutConfidence(accuracy=0.7, gap=0.1, gap_error=0.01, temperature=1.5,
        ...                          sure_temperature=1.4, distance=9.0)
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
        # As the buffer rounds it, and also where models are built without memory.
        self.value = torch.tensor(float(start), dtype=state_dtype(), device="cpu").item()

    @torch.no_grad()
    def step_(self, seen: HeldOutConfidence) -> None:
        """Move the margin by what a validation has shown."""
        overconfident = seen.sure_temperature > 1
        lasting = bool(self.overconfident) or seen.accuracy - float(self.accuracy) <= seen.gap
        engages = overconfident and not self.engaged and lasting
        if engages:
            self.engaged.fill_(True)
        self.widen_()
        self.margin.fill_(self._wanted(seen, engages))
        self.value = float(self.margin)
        self.temperature.fill_(seen.temperature)
        self.gap.fill_(seen.gap)
        self.accuracy.fill_(seen.accuracy)
        self.overconfident.fill_(overconfident)

    def _wanted(self, seen: HeldOutConfidence, engages: bool) -> float:
        now, suggestion = self.value, seen.distance / seen.temperature
        wanted = now / seen.sure_temperature
        if wanted >= now:
            wanted = min(wanted, max(now, self.slack * suggestion))
        elif not self.engaged:
            return now
        else:
            wanted = min(wanted, (1 if engages else self.slack) * suggestion)
            wanted = max(wanted, min(now, suggestion / 2))
        wanted = min(max(wanted, now / self.largest_step), now * self.largest_step)
        return min(max(wanted, self.margin_min), self.margin_max)

    def curves(self) -> dict[str, Tensor]:
        """What to log: margin, temperature and the gap in percent, () each."""
        return {"margin": self.margin, "temperature": self.temperature, "gap": 100 * self.gap}

    def remark(self) -> str:
        """Why the margin does nothing, where it does nothing."""
        if self.engaged:
            return ""
        return "the model is not over-confident: the margin stays out of reach"

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.value = float(self.margin)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"margin={self.value:.4g}"
