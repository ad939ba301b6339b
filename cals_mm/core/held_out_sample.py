"""A bounded sample of the logits of one validation."""

from __future__ import annotations

import math
from typing import TypeAlias, cast

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["HeldOutSample"]

State: TypeAlias = tuple[int, Tensor, Tensor, Tensor]

LOGITS_PER_IMAGE = 2**13
"""Most logits taken from an image: its pixels times the classes."""
CAPACITY = 2**23
"""Most logits kept of a validation: 32 MiB."""
# The fractional parts of the multiples of this number fill [0, 1) evenly.
_GOLDEN = (math.sqrt(5) - 1) / 2


class HeldOutSample:
    """Logits and labels from a validation, with the same number of valid pixels from each image.

    Pixels are taken at equal steps from the valid ones of an image, starting at an offset that
    depends on the index of the image. When the sample would exceed its capacity, every second row
    is dropped, repeatedly if necessary. No random numbers are involved, so the sample depends
    neither on the number of processes nor on whether the run was resumed.

    Sample p of process r has index p x processes + r, as in MMEngine's samplers.

    Args:
        num_classes: K.
        logits_per_image: Most logits taken from an image.
        capacity: Most logits kept.

    Attributes:
        logits: (n, K) float32 on the CPU; those of all processes after :meth:`gather_`.
        target: (n,) int64.
        image: Index of the image or sample that each row belongs to, (n,) int64.

    Example:
        >>> import torch
        >>> sample = HeldOutSample(num_classes=2, logits_per_image=8)
        >>> labels = torch.zeros(1, 10, 10, dtype=torch.int64)
        >>> sample.update(torch.rand(1, 2, 10, 10), labels, labels == 0)
        >>> sample.logits.shape
        torch.Size([4, 2])
    """

    def __init__(
        self,
        num_classes: int,
        logits_per_image: int = LOGITS_PER_IMAGE,
        capacity: int = CAPACITY,
    ) -> None:
        self.num_classes = num_classes
        self.pixels = max(1, logits_per_image // num_classes)
        self.rows = max(1, capacity // num_classes)
        self.reset_()

    def reset_(self) -> None:
        """Forget all samples."""
        self._seen = 0
        self._stride = 1
        self._logits: list[Tensor] = []
        self._target: list[Tensor] = []
        self._row: list[Tensor] = []
        self._kept = 0

    @property
    def logits(self) -> Tensor:
        """Logits of the rows."""
        return torch.cat([torch.empty(0, self.num_classes), *self._logits])

    @property
    def target(self) -> Tensor:
        """Labels of the rows."""
        return torch.cat([torch.empty(0, dtype=torch.int64), *self._target])

    @property
    def image(self) -> Tensor:
        """Image index of each row."""
        return self._rows // self.pixels

    @property
    def _rows(self) -> Tensor:
        return torch.cat([torch.empty(0, dtype=torch.int64), *self._row])

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor, valid: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (N, K) or (N, K, ...) floating.
            target: (N, ...) int64.
            valid: (N, ...) bool, true for samples that may be taken.
        """
        processes, rank = _processes()
        numbers = (torch.arange(len(logits)) + self._seen) * processes + rank
        self._seen += len(logits)
        if logits.ndim == 2:
            chosen = valid.nonzero()[:, 0]
            self._add(logits[chosen], target[chosen], numbers[chosen.cpu()] * self.pixels)
            return
        for number, scores, labels, mask in zip(
            numbers.tolist(), logits.flatten(2), target.flatten(1), valid.flatten(1), strict=True
        ):
            places = mask.nonzero()[:, 0]
            count = min(self.pixels, len(places))
            # Equal steps through the valid pixels, starting within the first step.
            at = torch.arange(count, dtype=torch.float64) + math.modf(number * _GOLDEN)[0]
            at = (at * (len(places) / max(count, 1))).long().to(places.device)
            chosen = places[at]
            rows = torch.arange(count) + number * self.pixels
            self._add(scores[:, chosen].T, labels[chosen], rows)

    def _add(self, logits: Tensor, target: Tensor, row: Tensor) -> None:
        keep = row % self._stride == 0
        self._logits.append(logits.float().cpu()[keep])
        self._target.append(target.cpu()[keep])
        self._row.append(row[keep])
        self._kept += len(self._row[-1])
        self._thin()

    def _thin(self) -> None:
        while self._kept > self.rows:
            self._stride *= 2
            kept = [row % self._stride == 0 for row in self._row]
            for parts in (self._logits, self._target, self._row):
                parts[:] = [part[keep] for part, keep in zip(parts, kept, strict=True)]
            self._kept = sum(map(len, self._row))

    def _state(self) -> State:
        return self._stride, self.logits, self.target, self._rows

    def gather_(self) -> HeldOutSample:
        """Collect the rows of all processes, in the order of the images."""
        all_of = _of_all_processes(self._state())
        self._stride = max(stride for stride, *_ in all_of)
        logits, target, row = (torch.cat(parts) for parts in list(zip(*all_of, strict=True))[1:])
        order = row.argsort()
        order = order[row[order] % self._stride == 0]
        self._logits, self._target, self._row = [logits[order]], [target[order]], [row[order]]
        self._kept = len(order)
        self._thin()
        return self


def _of_all_processes(mine: State) -> list[State]:
    """The states of all processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return [mine]
    states: list[State | None] = [None] * dist.get_world_size()
    dist.all_gather_object(states, mine)
    return cast(list[State], states)


def _processes() -> tuple[int, int]:
    """Number of processes, and the rank of this one."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size(), dist.get_rank()
    return 1, 0
