import pytest
from mmengine.dataset import DefaultSampler

from cals_mm.frameworks.sampling import is_repeated


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
