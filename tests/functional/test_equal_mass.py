from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cals_mm.functional import calibration_statistics
from cals_mm.functional._calibration_bins import NUM_CELLS
from cals_mm.functional._equal_mass import EqualMassBins, equal_mass_bins


def bins_of(logits: Tensor, target: Tensor, num_bins: int) -> EqualMassBins:
    sums = calibration_statistics(logits, target)
    return equal_mass_bins(sums.cell_count, sums.cell_correct, sums.cell_confidence, num_bins)


def batch(samples: int, scale: float, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, 4, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 4, (samples,), generator=generator)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(1, 300),
    num_bins=st.integers(1, 20),
    scale=st.sampled_from([0.1, 2.0, 8.0]),
    seed=st.integers(0, 1000),
)
def test_bins_are_those_of_the_sorted_samples(samples, num_bins, scale, seed) -> None:
    logits, target = batch(samples, scale, seed)
    bins = bins_of(logits, target, num_bins)
    confidence, predicted = logits.softmax(1).max(1)
    confidence, order = confidence.sort()
    correct = (predicted == target)[order].double()
    ends = [0, *(max(1, j * samples // num_bins) for j in range(1, num_bins)), samples]
    assert bins.samples.tolist() == [b - a for a, b in pairwise(ends)]
    width = (1 - confidence) / 1024 + 2**-24
    for j, (start, end) in enumerate(pairwise(ends)):
        if j < num_bins - 1:
            below, above = confidence[end - 1], confidence[min(end, samples - 1)]
            slack = 1.01 * width[end - 1]
            assert below - slack <= bins.edges[j] <= above + slack
        if start == end:
            assert bins.confidence[j].isnan() and bins.accuracy[j].isnan()
            continue
        # Samples that may be taken for one another, because a cell holds them with the edge.
        cut = sum(
            int(((confidence - confidence[min(end, samples) - 1]).abs() < 3 * width).sum())
            for end in (start, end)
            if end > 0
        )
        slack = cut / (end - start)
        assert abs(bins.accuracy[j] - correct[start:end].mean()) <= slack + 1e-9
        assert abs(bins.confidence[j] - confidence[start:end].mean()) <= slack + 1e-9


def test_bins_of_samples_in_cells_of_their_own_are_exact() -> None:
    confidence = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], dtype=torch.float64)
    logits = torch.stack([confidence.log(), (1 - confidence).log()], 1)
    target = torch.tensor([0, 1, 0, 0, 0, 1])
    bins = bins_of(logits, target, 3)
    expected = confidence.view(3, 2).mean(1)
    torch.testing.assert_close(bins.confidence, expected)
    assert bins.accuracy.tolist() == [0.5, 1.0, 0.5]
    assert bins.samples.tolist() == [2, 2, 2]


def test_certain_samples_share_the_last_cell() -> None:
    logits = torch.tensor([[200.0, 0.0]]).repeat(10, 1)
    bins = bins_of(logits, torch.tensor([0, 1] * 5), 5)
    assert bins.samples.tolist() == [2] * 5
    assert bins.accuracy.tolist() == pytest.approx([0.5] * 5)
    assert (bins.edges > 1 - 1e-7).all() and (bins.edges.diff() >= 0).all()


def test_no_sample_is_an_error() -> None:
    empty = torch.zeros(NUM_CELLS, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least one sample"):
        equal_mass_bins(empty, empty, empty.double(), 3)
