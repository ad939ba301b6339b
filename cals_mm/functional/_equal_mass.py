"""Bins of equally many samples, from the cells of the fine confidence grid."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import cell_edges

__all__ = ["EqualMassBins", "EqualMassCuts", "equal_mass_bins", "equal_mass_cuts"]


class EqualMassCuts(NamedTuple):
    """Where the edges between bins cut the cells, in ascending order of confidence."""

    cell: Tensor
    """Cell that each edge lies in, (bins - 1,) int64."""
    rank: Tensor
    """Samples below each edge, (bins - 1,) int64."""
    inside: Tensor
    """Samples of the cell, (bins - 1,) int64."""
    share: Tensor
    """Share of them below the edge, (bins - 1,) float64 in (0, 1]."""

    def sums(self, ascending: Tensor) -> Tensor:
        """Cumulative sums of a quantity at each edge, from 0 to the total, (bins + 1,) float64.

        A cell that contains an edge is divided in proportion.
        """
        values = ascending.double()
        total = values.cumsum(0)
        cut = total[self.cell] - (1 - self.share) * values[self.cell]
        return torch.cat([total.new_zeros(1), cut, total[-1:]])


def equal_mass_cuts(ascending_count: Tensor, rank: Tensor) -> EqualMassCuts:
    """Cut the cells after the samples of the given ranks.

    Args:
        ascending_count: Samples of each cell in ascending order of confidence, (cells,) int64, N >
            0 in total.
        rank: Ranks in 1..N, ascending, (bins - 1,) int64.
    """
    below = ascending_count.cumsum(0)
    cell = torch.searchsorted(below, rank)
    inside = ascending_count[cell]
    share = (rank - (below[cell] - inside)) / inside.double()
    return EqualMassCuts(cell, rank, inside, share)


class EqualMassBins(NamedTuple):
    """Confidence and accuracy of bins of equally many samples, in ascending order."""

    edges: Tensor
    """Confidences between the bins, (bins - 1,) float64, ascending."""
    samples: Tensor
    """Number of samples, (bins,) int64; bin j ends at rank floor(j N / bins), but at least 1."""
    confidence: Tensor
    """Mean confidence, (bins,) float64; NaN in empty bins."""
    accuracy: Tensor
    """Share of correct predictions, (bins,) float64; NaN in empty bins."""


def equal_mass_bins(
    cell_count: Tensor, cell_correct: Tensor, cell_confidence: Tensor, num_bins: int
) -> EqualMassBins:
    """Compute bins of equally many samples from the cells of :class:`CalibrationStatistics`.

    An edge is interpolated within the cell of its sample, so its error is less than the width of
    the cell, (1 - edge) / 1024 or 2^-24. The error of a mean is at most the share of the bin's
    samples that lie in the two cells at its ends.

    Args:
        cell_count: Samples per cell, (NUM_CELLS,) int64, as in :class:`CalibrationStatistics`.
        cell_correct: Correct samples per cell, (NUM_CELLS,) int64.
        cell_confidence: Sum of confidences per cell, (NUM_CELLS,) float64.
        num_bins: Number of bins.

    Returns:
        The bins.

    Raises:
        ValueError: Without any sample.

    Example:
        >>> import torch
        >>> from cals_mm.functional import calibration_statistics
        >>> sums = calibration_statistics(
        ...     torch.tensor([[0.0, 2.0], [0.5, 0.0]]), torch.tensor([1, 1]))
        >>> equal_mass_bins(sums.cell_count, sums.cell_correct, sums.cell_confidence, 2).accuracy
        tensor([0., 1.], dtype=torch.float64)
    """
    if not cell_count.any():
        raise ValueError("bins of equally many samples need at least one sample")
    counts = cell_count.flip(0)
    total = counts.sum()
    rank = torch.arange(1, num_bins, device=counts.device) * total // num_bins
    cuts = equal_mass_cuts(counts, rank.clamp_(min=1))
    samples = torch.cat([cuts.rank.new_zeros(1), cuts.rank, total.view(1)]).diff()
    # The cells are those of 1 - confidence, whose last one is of no width, at confidence 0.
    edges = (1 - cell_edges()).flip(0).to(cuts.share.device)
    lower, upper = edges[cuts.cell], edges[cuts.cell + 1]
    confidence, accuracy = (
        cuts.sums(sums.flip(0)).diff() / samples for sums in (cell_confidence, cell_correct)
    )
    return EqualMassBins(lower + cuts.share * (upper - lower), samples, confidence, accuracy)
