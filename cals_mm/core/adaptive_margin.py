"""A margin that follows the network's over-confidence on held-out data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from cals_mm.functional._calibration_pass import calibration_statistics
from cals_mm.functional.violation import check_margin

from .dual_statistics import DualStatistics

__all__ = ["AdaptiveMargin", "MarginStatistics"]


class MarginStatistics(DualStatistics):
    """Dual statistics that also compare the confidence with the accuracy.

    Samples whose label is no class, ignored or not, are left out of the comparison.

    Example:
        >>> import torch
        >>> statistics = MarginStatistics(torch.ones(2), torch.ones(2), margin=1.0)
        >>> statistics.update(torch.tensor([[3.0, 0.0], [0.0, 3.0]]), target=torch.tensor([0, 0]))
        >>> print(f"{statistics.gap:.3f} {statistics.reach:.1f}")
        0.453 1.5
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.labelled = torch.zeros_like(self.count)
        self.correct = torch.zeros_like(self.count)
        self.confidence = torch.zeros((), dtype=torch.float64, device=self.count.device)

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch, as :meth:`DualStatistics.update`, with its labels (N, ...) int64."""
        if target is None:
            raise ValueError("an adaptive margin needs the labels: pass target to update")
        super().update(logits, mask, target)
        labelled = (target >= 0) & (target < logits.shape[1])
        if mask is not None:
            labelled &= mask.to(target.device)
        sums = calibration_statistics(
            logits.detach(), target.masked_fill(~labelled, -1), num_bins=1, ignore_index=-1
        )
        device = self.count.device
        self.labelled += sums.bin_count.sum().to(device)
        self.correct += sums.bin_correct.sum().to(device)
        self.confidence += sums.bin_confidence.sum().to(device)

    def _sums(self) -> tuple[Tensor, ...]:
        return (*super()._sums(), self.labelled, self.correct, self.confidence)

    @property
    def gap(self) -> float:
        """Mean confidence minus accuracy, a fraction; positive for over-confident networks."""
        return float((self.confidence - self.correct) / self.labelled.clamp(min=1))

    @property
    def reach(self) -> float:
        """Largest mean logit distance of a class, in logit units."""
        return self.margin * (1 + float(self.mean_violation.max()))


class AdaptiveMargin(nn.Module):
    r"""Integral controller of the margin: down while over-confident, up while under-confident.

    .. math:: m \leftarrow clip(m\, e^{-g\,(conf - acc)},\; m_{min}, m_{max})

    after each validation, with the mean confidence and the accuracy of the held-out samples, and
    no further than a factor ``headroom`` from the largest mean logit distance of a class. A
    network that still under-fits is under-confident whatever the margin, and would wind it up to
    where it constrains nothing and takes long to return. Likewise, while multipliers are still
    too small to enforce a margin, there is no use in a smaller one.

    Args:
        start: First margin, in logit units.
        gain: g > 0, change of log m per validation and unit of confidence minus accuracy.
        margin_min: Smallest margin, in logit units.
        margin_max: Largest margin, in logit units.
        headroom: That factor, >= 1. At 1 a constraint that holds could never loosen again, for
            it keeps the distances under the margin.

    Attributes:
        margin: () float, in checkpoints.
        value: The margin as a number, so that a training step does not wait for the device.

    Raises:
        ValueError: For an argument out of its range.

    Example:
        >>> margin = AdaptiveMargin(start=10.0, gain=1.0)
        >>> margin.step_(gap=0.1, reach=12.0)
        >>> print(f"{margin.value:.2f}")
        9.05
        >>> margin.step_(gap=-0.5, reach=6.0)  # 14.92 without the limit
        >>> margin.value
        12.0
    """

    margin: Tensor

    def __init__(
        self,
        start: float = 10.0,
        gain: float = 0.5,
        margin_min: float = 1.0,
        margin_max: float = 50.0,
        headroom: float = 2.0,
    ) -> None:
        super().__init__()
        if not 0 < gain < math.inf:
            raise ValueError(f"gain must be positive and finite, got {gain}")
        if not 1 <= headroom < math.inf:
            raise ValueError(f"headroom must be at least 1, got {headroom}")
        if not 0 < margin_min <= check_margin(start) <= margin_max < math.inf:
            raise ValueError(
                "margin_min, the first margin and margin_max must satisfy 0 < margin_min <= margin "
                f"<= margin_max, got {margin_min}, {start} and {margin_max}"
            )
        self.gain = gain
        self.margin_min = margin_min
        self.margin_max = margin_max
        self.headroom = headroom
        self.register_buffer("margin", torch.tensor(float(start)))
        # As the buffer rounds it, and also where models are built without memory.
        self.value = torch.tensor(float(start), device="cpu").item()

    @torch.no_grad()
    def step_(self, gap: float, reach: float) -> None:
        """Move the margin.

        Args:
            gap: Mean confidence minus accuracy of a validation, a fraction.
            reach: Largest mean logit distance of a class there, in logit units.
        """
        wanted = self.value * math.exp(-self.gain * gap)
        wanted = min(wanted, max(self.value, reach * self.headroom))
        wanted = max(wanted, min(self.value, reach / self.headroom))
        self.margin.fill_(min(max(wanted, self.margin_min), self.margin_max))
        self.value = float(self.margin)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.value = float(self.margin)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"margin={self.value:.4g}, gain={self.gain}"
