"""The bounded sample of the logits of a validation."""

from functools import partial

import pytest
import torch
from torch import Tensor

from cals_mm.core import HeldOutSample, held_out_sample


def images(count: int = 7, size: tuple[int, int] = (12, 10)) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Images whose only logit in class 0 is the place of the pixel; some pixels are void."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        logits = torch.randn(1, 3, *size, generator=generator)
        logits[0, 0] = torch.arange(size[0] * size[1]).view(size) + 1000 * number
        target = torch.randint(0, 3, (1, *size), generator=generator)
        target[0, :number] = 255
        made.append((logits, target, target != 255))
    return made


def collect(batches, **options) -> HeldOutSample:
    sample = HeldOutSample(3, **options)
    for batch in batches:
        sample.update(*batch)
    return sample


def test_as_many_valid_pixels_of_each_image_at_even_distances() -> None:
    sample = collect(images(), logits_per_image=3 * 20)
    assert torch.bincount(sample.image).tolist() == [20] * 7
    assert (sample.target < 3).all()
    places = sample.logits[:, 0].view(7, 20) - 1000 * torch.arange(7)[:, None]
    for number, row in enumerate(places):
        assert row.min() >= 10 * number, "void pixels are left out"
        steps = row.diff()
        assert steps.max() - steps.min() <= 1
    assert len({float(row[0] - 10 * number) for number, row in enumerate(places)}) > 2


def test_all_pixels_of_a_small_image_and_none_of_a_void_one() -> None:
    logits, target, valid = images(1)[0]
    valid = valid & (torch.arange(120).view(12, 10) < 15)
    sample = collect([(logits, target, valid)], logits_per_image=3 * 20)
    assert sample.logits[:, 0].tolist() == list(range(15))
    sample.update(logits, target, torch.zeros_like(valid))
    assert len(sample.target) == 15


def test_the_memory_does_not_grow_with_the_image() -> None:
    for size in ((12, 10), (120, 100)):
        sample = collect(images(2, size), logits_per_image=3 * 20)
        assert sample.logits.shape == (40, 3)


@pytest.mark.parametrize("capacity", [3 * 1000, 3 * 100, 3 * 30])
def test_processes_keep_what_one_keeps(capacity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    options = dict(logits_per_image=3 * 20, capacity=capacity)
    whole = collect(images(), **options).gather_()
    assert len(whole.target) <= capacity // 3
    assert len(whole.target) > min(140, capacity // 3) // 2 - 7
    for world in (2, 3):
        shares = []
        for rank in range(world):
            monkeypatch.setattr(held_out_sample, "_processes", partial(tuple, (world, rank)))
            shares.append(collect(images()[rank::world], **options))
        states = [share._state() for share in shares]
        monkeypatch.setattr(held_out_sample, "_of_all_processes", lambda _, all_of=states: all_of)
        gathered = shares[0].gather_()
        monkeypatch.undo()
        for name in ("logits", "target", "image"):
            assert torch.equal(getattr(gathered, name), getattr(whole, name)), name


def test_samples_of_a_classifier_are_all_taken_up_to_the_capacity() -> None:
    logits, target = torch.randn(50, 3), torch.randint(0, 3, (50,))
    valid = torch.arange(50) != 7
    sample = HeldOutSample(3)
    for start in range(0, 50, 8):
        part = slice(start, start + 8)
        sample.update(logits[part], target[part], valid[part])
    assert torch.equal(sample.logits, logits[valid])
    assert torch.equal(sample.target, target[valid])
    assert sample.image.tolist() == [k for k in range(50) if k != 7]
    thinned = HeldOutSample(3, capacity=3 * 16)
    thinned.update(logits, target, valid)
    kept = [k for k in range(50) if k % 4 == 0]
    assert thinned.image.unique().tolist() == kept


def test_half_precision_and_reset() -> None:
    logits, target, valid = images(1)[0]
    sample = HeldOutSample(3)
    sample.update(logits.half(), target, valid)
    assert sample.logits.dtype == torch.float32
    sample.reset_()
    assert sample.logits.shape == (0, 3) and len(sample.image) == 0
