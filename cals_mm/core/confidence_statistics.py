"""Sums over one validation that yield confidence and accuracy for any number of bins."""

from __future__ import annotations

import torch
from torch import Tensor

from cals_mm.functional._calibration_bins import NUM_CELLS
from cals_mm.functional._calibration_pass import calibration_statistics
from cals_mm.functional._equal_mass import EqualMassBins, equal_mass_bins

from ._reduce import sum_over_processes_
from .dual_statistics import NonFiniteLogitsError

__all__ = ["ConfidenceStatistics"]


class ConfidenceStatistics:
    """Samples, correct samples and confidences in the cells of a fine confidence grid.

    The memory is that of the grid, 24,578 cells, regardless of the number of samples. With int64
    counts and float64 sums, parts of a data set add up to the whole.

    Example:
        >>> import torch
        >>> statistics = ConfidenceStatistics()
        >>> statistics.update(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), target=torch.tensor([0, 0]))
        >>> int(statistics.count), statistics.bins(2).accuracy.tolist()
        (2, [0.0, 1.0])
    """

    def __init__(self) -> None:
        self.cell_count = torch.zeros(NUM_CELLS, dtype=torch.int64)
        self.cell_correct = torch.zeros(NUM_CELLS, dtype=torch.int64)
        self.cell_confidence = torch.zeros(NUM_CELLS, dtype=torch.float64)

    @property
    def count(self) -> Tensor:
        """Number of samples, () int64."""
        return self.cell_count.sum()

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            logits: (N, K) or (N, K, ...), any floating dtype.
            mask: (N, ...) bool, true for valid samples. None means all.
            target: Labels (N, ...) int64; required.

        Raises:
            ValueError: If labels are missing or shapes do not fit.
            NonFiniteLogitsError: If a logit of a valid sample is NaN or infinite. The sums then
                stay unchanged.
        """
        if target is None:
            raise ValueError("the accuracy needs labels: pass target")
        ignored = None if mask is None else -1
        if mask is not None:
            target = target.long().masked_fill(~mask, -1)
        # A single bin, since only the sums of the fine cells are used.
        sums = calibration_statistics(logits, target, num_bins=1, ignore_index=ignored)
        if sums.nonfinite:
            raise NonFiniteLogitsError()
        self.cell_count += sums.cell_count.cpu()
        self.cell_correct += sums.cell_correct.cpu()
        self.cell_confidence += sums.cell_confidence.cpu()

    def reset_(self) -> None:
        """Forget all samples."""
        for tensor in (self.cell_count, self.cell_correct, self.cell_confidence):
            tensor.zero_()

    def all_reduce_(self) -> ConfidenceStatistics:
        """Add up the sums of all processes; no-op without a process group."""
        sum_over_processes_((self.cell_count, self.cell_correct, self.cell_confidence))
        return self

    def bins(self, num_bins: int) -> EqualMassBins:
        """Confidence and accuracy in ``num_bins`` bins of equally many samples."""
        return equal_mass_bins(self.cell_count, self.cell_correct, self.cell_confidence, num_bins)
