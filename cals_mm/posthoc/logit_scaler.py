"""Base class of the logit scalers, and reading of held-out batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cals_mm.functional._probabilities import LogitsCheck

__all__ = ["LogitScaler", "Passes"]

Scaler = TypeVar("Scaler", bound="LogitScaler")

_CHUNK = 2**22
"""Number of logits converted to float64 at a time."""


class Passes:
    """A held-out set that is read once per pass, as float64 rows of its valid samples.

    Args:
        make_batches: Called once per pass; returns an iterable of (logits, target) or (logits,
            target, mask): logits (N, K) or (N, K, ...) floating, target (N, ...) int64, mask (N,
            ...) bool, true for valid samples.
        ignore_index: Label to ignore. None ignores no label.
        num_classes: Required number of classes K. None accepts any.

    Attributes:
        count: Number of valid samples; 0 before the first pass.
    """

    def __init__(
        self,
        make_batches: Callable[[], Iterable[tuple[Tensor, ...]]],
        ignore_index: int | None = -100,
        num_classes: int | None = None,
    ) -> None:
        self.make_batches = make_batches
        self.ignore_index = ignore_index
        self.num_classes = num_classes
        self.count = 0

    def rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Make one pass; yield rows (n, K) float64 and their labels (n,) int64.

        Raises:
            ValueError: If shapes or labels do not fit, logits are NaN or infinite, no sample is
                valid, or the batches can be read only once.
        """
        count, first = 0, self.count == 0
        check = LogitsCheck()
        for batch in self.make_batches():
            for logits, target in _valid_rows(*batch, ignore_index=self.ignore_index):
                if self.num_classes not in (None, logits.shape[1]):
                    raise ValueError(
                        f"logits have {logits.shape[1]} classes, the scaler {self.num_classes}"
                    )
                count += len(target)
                if first:
                    check.add(logits)
                yield logits, target
        if warning := check.warning():
            warnings.warn(warning, stacklevel=2)
        if count == 0 and first:
            raise ValueError("no valid sample to fit to; check ignore_index and the mask")
        if self.count not in (0, count):
            raise ValueError(
                f"a pass over the batches gave {count} samples, the one before {self.count}; "
                "make_batches must return all batches anew at each call"
            )
        self.count = count

    def mean_nll(self, scaler: nn.Module) -> float:
        """Mean negative log-likelihood of the scaled logits, in nats."""
        total = 0.0
        for logits, target in self.rows():
            total += float(F.cross_entropy(scaler(logits), target, reduction="sum"))
        return total / self.count


class LogitScaler(nn.Module):
    """Base class of scalers: logits times a weight plus a bias, both fitted after training.

    A subclass keeps its state in buffers and implements ``linear``, ``reset_`` and ``solve_``.
    Scaling never increases the negative log-likelihood on the data it is fitted to: if no better
    scaling is found, the scaler remains the identity. Fits are computed in float64.
    """

    num_classes: int | None = None

    def linear(self) -> tuple[Tensor, Tensor]:
        """Weight and bias, each () or (K,), that map logits to calibrated logits."""
        raise NotImplementedError

    def reset_(self) -> None:
        """Reset to the identity."""
        raise NotImplementedError

    def solve_(self, passes: Passes) -> None:
        """Set the buffers to the minimum of the negative log-likelihood."""
        raise NotImplementedError

    def forward(self, logits: Tensor) -> Tensor:
        """Scaled logits of the same shape, (N, K) or (N, K, ...), and dtype."""
        shape = (-1, *[1] * (logits.ndim - 2))
        weight, bias = (part.to(logits.dtype).reshape(shape) for part in self.linear())
        return logits * weight + bias

    def fit(
        self: Scaler,
        logits: Tensor,
        target: Tensor,
        *,
        ignore_index: int | None = -100,
        mask: Tensor | None = None,
    ) -> Scaler:
        """Fit to held-out samples in memory.

        Args:
            logits: (N, K) or (N, K, ...) floating and finite.
            target: (N,) or (N, ...) int64.
            ignore_index: Label to ignore. None ignores no label.
            mask: (N,) or (N, ...) bool, true for valid samples. None means all.

        Returns:
            The scaler itself.

        Raises:
            ValueError: If shapes or labels do not fit, logits are NaN or infinite, or no sample is
                valid.
        """
        batch = (logits, target) if mask is None else (logits, target, mask)
        return self.fit_batches(lambda: [batch], ignore_index=ignore_index)

    @torch.no_grad()
    def fit_batches(
        self: Scaler,
        make_batches: Callable[[], Iterable[tuple[Tensor, ...]]],
        *,
        ignore_index: int | None = -100,
    ) -> Scaler:
        """Fit to a held-out set of any size, read batch by batch.

        The result equals that of :meth:`fit` on all samples. Each Newton step takes one pass: a
        temperature needs about ten, scaling per class about twenty. If each pass would run a
        network, store its logits, or those of a subsample, and fit to them.

        Args:
            make_batches: Called once per pass; returns an iterable of (logits, target) or
                (logits, target, mask), each as for :meth:`fit`.
            ignore_index: As for :meth:`fit`.

        Returns:
            The scaler itself.

        Raises:
            ValueError: As for :meth:`fit`, or if the batches can be read only once.
        """
        passes = Passes(make_batches, ignore_index, self.num_classes)
        self.reset_()
        before = passes.mean_nll(self)
        self.solve_(passes)
        if not passes.mean_nll(self) < before:
            self.reset_()
        return self


def _valid_rows(
    logits: Tensor, target: Tensor, mask: Tensor | None = None, *, ignore_index: int | None
) -> Iterator[tuple[Tensor, Tensor]]:
    shape = (logits.shape[0], *logits.shape[2:]) if logits.ndim > 1 else None
    if target.shape != shape or (mask is not None and mask.shape != shape):
        raise ValueError(
            f"need logits (N, K, ...) with target and mask (N, ...), got {tuple(logits.shape)}, "
            f"{tuple(target.shape)} and {None if mask is None else tuple(mask.shape)}"
        )
    if logits.device.type == "mps":  # Metal has no float64
        logits = logits.cpu()
    num_classes = logits.shape[1]
    rows = logits.movedim(1, -1).flatten(0, -2)
    labels = target.to(logits.device).reshape(-1).long()
    valid = torch.ones_like(labels, dtype=torch.bool)
    if ignore_index is not None:
        valid &= labels != ignore_index
    if mask is not None:
        valid &= mask.to(logits.device).reshape(-1)
    chunks = valid.nonzero()[:, 0].split(max(1, _CHUNK // num_classes))
    for index in chunks if len(chunks[0]) else ():
        chosen, chosen_labels = rows[index].double(), labels[index]
        if not torch.isfinite(chosen).all():
            raise ValueError("cannot fit a scaling to logits that hold NaN or Inf")
        low, high = int(chosen_labels.min()), int(chosen_labels.max())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"labels go from {low} to {high}, logits have {num_classes} classes; set "
                "ignore_index to the label that counts for nothing"
            )
        yield chosen, chosen_labels
