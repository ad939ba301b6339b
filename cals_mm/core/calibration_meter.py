"""The calibration of a model over many batches."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from cals_mm.functional import (
    CALIBRATION_VALUES,
    CalibrationStatistics,
    calibration_statistics,
    calibration_values,
)

from ._reduce import max_over_processes, sum_over_processes_

__all__ = ["Aggregate", "CalibrationMeter"]

Aggregate = Literal["dataset", "image"]


class CalibrationMeter:
    """Calibration errors, likelihood and Brier score of all batches that were added.

    Only sums are kept, O(num_classes x num_bins), whatever the number of samples. The number of
    classes is that of the first logits. Meters of parts of the data are put together with
    :meth:`merge_`, those of several processes with :meth:`all_reduce_`.

    Args:
        num_bins: Number of equal-width bins (a, b] of the confidence.
        ignore_index: Label that counts for nothing. None: every sample counts.
        probabilities: Batches hold probabilities in place of logits.
        aggregate: ``'dataset'`` pools all samples. ``'image'`` is the mean of each image's values
            over the images with a valid pixel.

    Attributes:
        statistics: Sums over all samples, of zero classes before the first batch.

    Raises:
        ValueError: For a bad argument.

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
        """Number of samples, or valid pixels."""
        return self.statistics.count

    @property
    def nonfinite(self) -> int:
        """Samples that were left out because of NaN or infinite logits."""
        return int(self.statistics.nonfinite)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (N, K) or (N, K, ...), any floating dtype.
            target: Labels (N, ...) int64.

        Raises:
            ValueError: For shapes or labels that do not fit, another number of classes than
                before, or the mean over images of samples that are none.
        """
        known = self.statistics.num_classes
        if known and logits.ndim > 1 and logits.shape[1] != known:
            raise ValueError(
                f"logits have {logits.shape[1]} channels, those before {known}; "
                "one meter measures one model"
            )
        if self.aggregate == "dataset":
            self._add(self._measure(logits, target))
            return
        if logits.ndim == 2:
            raise ValueError(
                "aggregate='image' is the mean over label maps, but there is one label per image; "
                "use aggregate='dataset'"
            )
        for image, labels in zip(torch.split(logits, 1), torch.split(target, 1), strict=True):
            statistics = self._measure(image, labels)
            if statistics.count:
                self._image_values += calibration_values(statistics).cpu()
                self._num_images += 1
            self._add(statistics)

    def merge_(self, other: CalibrationMeter) -> CalibrationMeter:
        """Add what another meter has seen.

        Raises:
            ValueError: If the numbers of classes or bins, or the ways to aggregate, differ.
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
        """Add up the meters of all processes, once; without a process group nothing happens.

        N processes give what one gives. A process may have seen no batch at all.
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
            The values by name, each in its unit: percent, nats for NLL, none for Brier; NaN
            without samples. ``nonfinite`` is there only where samples were left out.
        """
        if self.aggregate == "image":
            result = self._image_values / self._num_images
        else:
            result = calibration_values(self.statistics)
        values = dict(zip(CALIBRATION_VALUES, result.tolist(), strict=True))
        if self.nonfinite:
            values["nonfinite"] = float(self.nonfinite)
        return values

    def _measure(self, logits: Tensor, target: Tensor) -> CalibrationStatistics:
        return calibration_statistics(
            logits,
            target,
            num_bins=self.num_bins,
            ignore_index=self.ignore_index,
            probabilities=self.probabilities,
        )

    def _add(self, statistics: CalibrationStatistics) -> None:
        if self.statistics.num_classes == 0:
            empty = CalibrationStatistics.zeros(
                statistics.num_classes, self.num_bins, statistics.bin_count.device
            )
            self.statistics = empty
        if statistics.num_classes:
            self.statistics.merge_(statistics)
