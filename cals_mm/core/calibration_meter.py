"""The calibration of a model over many batches."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from cals_mm.functional import (
    CALIBRATION_VALUES,
    CalibrationStatistics,
    calibration_values,
)
from cals_mm.functional._calibration_pass import measure

from ._reduce import max_over_processes, sum_over_processes_
from .shared_pass import SharedPass

__all__ = ["Aggregate", "CalibrationMeter"]

Aggregate = Literal["dataset", "image"]


class CalibrationMeter:
    """Calibration errors, likelihood and Brier score accumulated over batches.

    Only sums of size O(num_classes x num_bins) are kept, regardless of the number of samples. The
    first logits determine the number of classes. :meth:`merge_` combines meters of parts of the
    data, :meth:`all_reduce_` those of several processes.

    Args:
        num_bins: Number of equal-width bins (a, b] of the confidence.
        ignore_index: Label to ignore. None ignores no label.
        probabilities: Whether batches hold probabilities instead of logits.
        aggregate: ``'dataset'`` pools all samples; ``'image'`` averages the values of single
            images, over images with a valid pixel.

    Attributes:
        statistics: Sums over all samples; they have zero classes before the first batch.

    Raises:
        ValueError: For an invalid argument.

    Example:
        >>> import torch
        >>> meter = CalibrationMeter()
        >>> meter.update(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
        >>> meter.update(torch.tensor([[0.0, 3.0]]), torch.tensor([1]))
        >>> values = meter.compute()
        >>> print(f"{values['accuracy']:.1f} {values['confidence']:.1f} {values['NLL']:.3f}")
        66.7 85.5 0.496
    """

    def __init__(
        self,
        num_bins: int = 15,
        ignore_index: int | None = -100,
        *,
        probabilities: bool = False,
        aggregate: Aggregate = "dataset",
    ) -> None:
        if num_bins < 1:
            raise ValueError(f"num_bins must be at least 1, got {num_bins}")
        if aggregate not in get_args(Aggregate):
            raise ValueError(f"aggregate must be 'dataset' or 'image', got {aggregate!r}")
        self.num_bins = num_bins
        self.ignore_index = ignore_index
        self.probabilities = probabilities
        self.aggregate = aggregate
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.statistics = CalibrationStatistics.zeros(0, self.num_bins)
        self._image_values = torch.zeros(len(CALIBRATION_VALUES), dtype=torch.float64)
        self._num_images = torch.zeros((), dtype=torch.int64)

    @property
    def count(self) -> int:
        """Number of samples or valid pixels."""
        return self.statistics.count

    @property
    def nonfinite(self) -> int:
        """Samples that were left out because of NaN or infinite logits."""
        return int(self.statistics.nonfinite)

    def update(self, logits: Tensor, target: Tensor, shared: SharedPass | None = None) -> None:
        """Add a batch.

        Args:
            logits: (N, K) or (N, K, ...), any floating dtype.
            target: Labels (N, ...) int64.
            shared: Computes other sums of the batch in the same pass, where it can.

        Raises:
            ValueError: If shapes or labels do not fit, if the number of classes changes, or if
                ``aggregate='image'`` but the samples are not images.
        """
        known = self.statistics.num_classes
        if known and logits.ndim > 1 and logits.shape[1] != known:
            raise ValueError(
                f"logits have {logits.shape[1]} channels, those before {known}; "
                "one meter measures one model"
            )
        if self.aggregate == "dataset":
            self._add(self._measure(logits, target, shared))
            return
        if logits.ndim == 2:
            raise ValueError(
                "aggregate='image' is the mean over label maps, but there is one label per image; "
                "use aggregate='dataset'"
            )
        for image, labels in zip(torch.split(logits, 1), torch.split(target, 1), strict=True):
            statistics = self._measure(image, labels, shared)
            if statistics.count:
                self._image_values += calibration_values(statistics).cpu()
                self._num_images += 1
            self._add(statistics)

    def merge_(self, other: CalibrationMeter) -> CalibrationMeter:
        """Add the samples of another meter.

        Raises:
            ValueError: If the meters differ in classes, bins or ``aggregate``.
        """
        if self.aggregate != other.aggregate:
            raise ValueError(
                f"cannot merge a meter with aggregate={other.aggregate!r} into one with "
                f"{self.aggregate!r}"
            )
        self._add(other.statistics)
        self._image_values += other._image_values
        self._num_images += other._num_images
        return self

    def all_reduce_(self) -> CalibrationMeter:
        """Add up the meters of all processes, once; no-op without a process group.

        The result does not depend on the number of processes. Some of them may have seen no batch.
        """
        num_classes = max_over_processes(self.statistics.num_classes)
        if self.statistics.num_classes == 0:
            self.statistics = CalibrationStatistics.zeros(num_classes, self.num_bins)
        counts, sums = self.statistics.pack()
        sum_over_processes_((counts, sums, self._image_values, self._num_images))
        self.statistics.unpack_(counts, sums)
        return self

    def compute(self) -> dict[str, float]:
        """Compute all values of :data:`~cals_mm.functional.CALIBRATION_VALUES`.

        Returns:
            The values by name: in percent, except NLL in nats and Brier without unit; NaN without
            samples. ``nonfinite`` is included only if samples were left out.
        """
        if self.aggregate == "image":
            result = self._image_values / self._num_images
        else:
            result = calibration_values(self.statistics)
        values = dict(zip(CALIBRATION_VALUES, result.tolist(), strict=True))
        if self.nonfinite:
            values["nonfinite"] = float(self.nonfinite)
        return values

    def _measure(
        self, logits: Tensor, target: Tensor, shared: SharedPass | None
    ) -> CalibrationStatistics:
        dual = None
        if shared is not None and logits.ndim > 1:
            dual = shared.problem(logits, self.ignore_index)
        statistics, sums = measure(
            logits,
            target,
            num_bins=self.num_bins,
            ignore_index=self.ignore_index,
            probabilities=self.probabilities,
            dual=dual,
        )
        if shared is not None and sums is not None:
            shared.keep(logits, sums)
        return statistics

    def _add(self, statistics: CalibrationStatistics) -> None:
        if self.statistics.num_classes == 0:
            empty = CalibrationStatistics.zeros(
                statistics.num_classes, self.num_bins, statistics.bin_count.device
            )
            self.statistics = empty
        if statistics.num_classes:
            self.statistics.merge_(statistics)
