"""The sums that calibration metrics are computed from, and the grids they are taken over."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = [
    "CELL_FIRST",
    "CELL_SHIFT",
    "NUM_CELLS",
    "CalibrationStatistics",
    "bin_edges",
    "bin_index",
    "cell_edges",
    "cell_index",
    "first_bin_end",
]

# The fine grid of confidences divides each octave of u = 1 - confidence, from 2^-24 (the spacing
# of float32 below 1) to 1, into 2^_OCTAVE_BITS cells: fine where over-confident networks put
# nearly all their samples. Its index is the leading bits of the float32 pattern of u.
_OCTAVE_BITS = 10
_FIRST = (127 - 24) << _OCTAVE_BITS
CELL_SHIFT = 23 - _OCTAVE_BITS
"""Bits of u's float32 pattern that its cell does not depend on."""
CELL_FIRST = _FIRST - 1
"""The other bits, of the first cell."""
NUM_CELLS = 24 * (1 << _OCTAVE_BITS) + 2
"""Cells of the fine grid: one for u < 2^-24, 1024 for each of 24 octaves, one for u = 1."""


def bin_edges(num_bins: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """Edges of equal-width bins of [0, 1], (num_bins + 1,), each rounded once to ``dtype``."""
    edges = torch.arange(num_bins + 1, dtype=torch.float64) / num_bins
    return edges.to(device=device, dtype=dtype)


def bin_index(value: Tensor, num_bins: int) -> Tensor:
    """Index of the bin (a, b] that each value of [0, 1] lies in; 0 belongs to the first.

    A value whose product with ``num_bins`` rounds to an integer is taken to lie on that edge.

    Args:
        value: Any shape, float32 or float64, in [0, 1].
        num_bins: Number of equal-width bins.

    Returns:
        int64 of the same shape, in [0, num_bins).
    """
    return (value * num_bins).ceil_().long().sub_(1).clamp_(0, num_bins - 1)


def first_bin_end(num_bins: int, dtype: torch.dtype) -> float:
    """Largest value that :func:`bin_index` puts into the first bin."""
    end = torch.tensor(1 / num_bins, dtype=dtype)
    above = torch.tensor(2.0, dtype=dtype)
    while end * num_bins > 1:
        end = torch.nextafter(end, -above)
    while torch.nextafter(end, above) * num_bins <= 1:
        end = torch.nextafter(end, above)
    return end.item()


def cell_index(confidence: Tensor) -> Tensor:
    """Index of the fine cell of each confidence, int64; a larger index is a lower confidence."""
    complement = (1 - confidence).float().clamp_(0, 1)
    return (complement.view(torch.int32) >> CELL_SHIFT).sub_(CELL_FIRST).clamp_(min=0).long()


def cell_edges() -> Tensor:
    """Bounds of 1 - confidence of the fine cells, (NUM_CELLS + 1,) float64, ascending."""
    bits = (torch.arange(NUM_CELLS, dtype=torch.int32) + _FIRST) << CELL_SHIFT
    lower = bits.view(torch.float32).double()
    return torch.cat([lower.new_zeros(1), lower[:-1], lower.new_ones(1)])


@dataclass(eq=False)
class CalibrationStatistics:
    """Sums over samples from which every calibration metric follows.

    Counts are int64 and sums float64, so the statistics of parts of a data set can be added up in
    any order, even with far more than 2^24 samples in a bin. The size is O(num_classes x num_bins),
    regardless of the number of samples.
    """

    bin_count: Tensor
    """Samples per confidence bin, (bins,) int64."""
    bin_correct: Tensor
    """Correct samples per confidence bin, (bins,) int64."""
    bin_confidence: Tensor
    """Sum of confidences per confidence bin, (bins,) float64."""
    cell_count: Tensor
    """Samples per cell of the fine grid, (NUM_CELLS,) int64."""
    cell_correct: Tensor
    """Correct samples per cell, (NUM_CELLS,) int64."""
    cell_confidence: Tensor
    """Sum of confidences per cell, (NUM_CELLS,) float64."""
    class_count: Tensor
    """Samples per class and bin of this class's probability, (K, bins) int64."""
    class_positive: Tensor
    """Of these, the samples whose label is this class, (K, bins) int64."""
    class_probability: Tensor
    """Sum of this class's probability per bin, (K, bins) float64."""
    class_correct: Tensor
    """Correct samples of each class, (K,) int64."""
    negative_log_likelihood: Tensor
    """Sum of -log p(label), () float64, in nats."""
    brier: Tensor
    """Sum of squared distances between probabilities and one-hot labels, () float64."""
    nonfinite: Tensor
    """Samples left out because of NaN or infinite logits, () int64."""

    @classmethod
    def zeros(
        cls, num_classes: int, num_bins: int = 15, device: torch.device | str = "cpu"
    ) -> CalibrationStatistics:
        """Create statistics without samples."""
        shapes = {
            "bin": (num_bins,),
            "cell": (NUM_CELLS,),
            "class": (num_classes, num_bins),
            "class_correct": (num_classes,),
        }
        tensors = {}
        for field in fields(cls):
            shape = shapes.get(field.name, shapes.get(field.name.split("_")[0], ()))
            dtype = torch.float64 if field.name in _FLOATS else torch.int64
            tensors[field.name] = torch.zeros(shape, dtype=dtype, device=device)
        return cls(**tensors)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.class_count.shape[0]

    @property
    def num_bins(self) -> int:
        """Number of equal-width bins."""
        return self.class_count.shape[1]

    @property
    def count(self) -> int:
        """Number of samples (or pixels) in the sums."""
        return int(self.bin_count.sum())

    def merge_(self, other: CalibrationStatistics) -> CalibrationStatistics:
        """Add the sums of other samples, in place.

        Raises:
            ValueError: If the numbers of classes or bins differ.
        """
        if self.class_count.shape != other.class_count.shape:
            raise ValueError(
                f"cannot merge statistics of (classes, bins) {tuple(self.class_count.shape)} "
                f"with {tuple(other.class_count.shape)}; use one num_bins and one model"
            )
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            mine += theirs.to(mine.device)
        return self

    def __add__(self, other: CalibrationStatistics) -> CalibrationStatistics:
        zero = self.zeros(self.num_classes, self.num_bins, self.bin_count.device)
        return zero.merge_(self).merge_(other)

    def to_dict(self) -> dict[str, Tensor]:
        """The tensors by name, on the CPU, for ``torch.save``."""
        return {field.name: getattr(self, field.name).cpu() for field in fields(self)}

    @classmethod
    def from_dict(cls, tensors: dict[str, Tensor]) -> CalibrationStatistics:
        """Rebuild the statistics from the result of :meth:`to_dict`."""
        return cls(**tensors)

    def pack(self) -> tuple[Tensor, Tensor]:
        """Pack all counts into one int64 vector, and all sums into one float64 vector."""
        counts = [getattr(self, f.name).reshape(-1) for f in fields(self) if f.name not in _FLOATS]
        sums = [getattr(self, f.name).reshape(-1) for f in fields(self) if f.name in _FLOATS]
        return torch.cat(counts), torch.cat(sums)

    def unpack_(self, counts: Tensor, sums: Tensor) -> CalibrationStatistics:
        """Replace all tensors by those in the vectors of :meth:`pack`, in place."""
        start = {True: 0, False: 0}
        for field in fields(self):
            tensor, is_sum = getattr(self, field.name), field.name in _FLOATS
            end = start[is_sum] + tensor.numel()
            tensor.copy_((sums if is_sum else counts)[start[is_sum] : end].reshape(tensor.shape))
            start[is_sum] = end
        return self


_FLOATS = frozenset(
    {
        "bin_confidence",
        "cell_confidence",
        "class_probability",
        "negative_log_likelihood",
        "brier",
    }
)
