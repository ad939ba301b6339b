import pytest
from mmengine.dataset import DefaultSampler

from cals_mm.frameworks import sampling
from cals_mm.frameworks.sampling import is_repeated, last_is_repeated


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 6, 7])
def test_what_is_not_repeated_is_each_sample_once(world_size, size, monkeypatch):
    kept = []
    for rank in range(world_size):
        for module in ("mmengine.dataset.sampler", "cals_mm.frameworks.sampling"):
            monkeypatch.setattr(f"{module}.get_dist_info", lambda rank=rank: (rank, world_size))
        order = list(DefaultSampler(range(size), shuffle=True, seed=0))
        kept += [sample for p, sample in enumerate(order) if not is_repeated(p, size)]
    assert sorted(kept) == list(range(size))


def last_ones(orders, size, monkeypatch, named=True):
    """What each process is told of its last sample."""
    ends = [(len(o), *(o[:1] + o[-1:] if named else (0, 0))) for o in orders]
    monkeypatch.setattr(sampling, "all_gather_object", lambda _: ends)
    told = []
    for rank in range(len(orders)):
        monkeypatch.setattr(sampling, "get_dist_info", lambda rank=rank: (rank, len(orders)))
        told.append(last_is_repeated(ends[rank][0], size, *ends[rank][1:]))
    return told


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "orders, size, repeated, beyond",
    [
        ([[0, 3, 6], [1, 4, 0], [2, 5, 1]], 7, [False, True, True], 0),  # filled up
        ([[0], [0], [0]], 1, [False, True, True], 0),
        ([[0, 3], [1], [2]], 4, [False] * 3, 0),  # not filled up
        ([[0, 1, 2, 3, 4], [5, 6], [7]], 8, [False] * 3, 0),  # uneven
        ([[0, 1, 2, 3], [0, 1, 2, 3]], 4, [False] * 2, 4),  # all on every process
        ([[0, 3], [1, 4]], 5, [False] * 2, 0),  # one dropped
    ],
)
def test_the_last_one_without_the_sampler(orders, size, repeated, beyond, named, monkeypatch):
    told = last_ones(orders, size, monkeypatch, named)
    assert told == [(one, beyond) for one in repeated]


@pytest.mark.parametrize(
    "size, orders, beyond",
    [
        (7, [[0, 1, 2], [3, 4, 5], [6, 0, 1]], 2),  # in blocks, with the first
        (5, [[0, 2, 4], [1, 3, 3]], 1),  # in turns, with the last
        (5, [[3, 1, 4], [0, 2, 1]], 1),  # with a sample drawn at random
    ],
)
def test_what_is_filled_up_in_another_way_loses_nothing(size, orders, beyond, monkeypatch):
    assert last_ones(orders, size, monkeypatch) == [(False, beyond)] * len(orders)
