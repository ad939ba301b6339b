import pytest

from cals_mm.datasets.splits import (
    central_held_out,
    evenly_spaced,
    keep_split,
    random_held_out,
)

NAMES = [f"{number:04d}" for number in range(1464)]


def test_random_held_out_has_the_size_asked_for_and_ignores_the_order_of_names():
    held_out = random_held_out(NAMES, 293)
    assert len(held_out) == 293
    assert held_out == random_held_out(NAMES[::-1], 293)
    assert held_out != random_held_out(NAMES, 293, seed=1)


def test_random_held_out_is_pinned():
    # A change of the rule would silently mix the held-out images of old runs into training.
    assert sorted(random_held_out(["a", "b", "c", "d", "e"], 2)) == ["c", "e"]


@pytest.mark.parametrize("count", [0, -1, 1464, 2000])
def test_random_held_out_refuses_an_empty_part(count):
    with pytest.raises(ValueError, match=f"cannot hold out {count} of 1464"):
        random_held_out(NAMES, count)


def test_central_held_out_takes_one_block_of_each_sequence():
    names = [f"{sequence}_{frame:03d}" for sequence in "ab" for frame in range(10)]
    held_out = central_held_out(names, 0.2, lambda name: name.split("_")[0])
    assert held_out == {"a_004", "a_005", "b_004", "b_005"}


def test_central_held_out_leaves_a_single_frame_to_train():
    assert central_held_out(["a_1"], 0.2, lambda name: "a") == frozenset()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_central_held_out_refuses_a_bad_fraction(fraction):
    with pytest.raises(ValueError, match="held-out fraction"):
        central_held_out(NAMES, fraction, lambda name: "a")


def test_splits_are_disjoint_and_complete():
    held_out = random_held_out(NAMES, 293)
    train, val = (keep_split(NAMES, held_out, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (1171, 293)
    assert sorted(train + val) == NAMES


def test_evenly_spaced_spans_the_whole_list():
    kept = evenly_spaced(NAMES, 80)
    assert len(set(kept)) == 80
    assert kept[0] == NAMES[0] and NAMES.index(kept[-1]) > 0.95 * len(NAMES)
    assert evenly_spaced(NAMES, 5000) == NAMES
