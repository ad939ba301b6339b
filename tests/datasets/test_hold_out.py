"""Which samples of a training set are held out: by their names alone."""

import random

import pytest

from cals_mm.datasets.hold_out import choose_held_out, group_samples

CITIES = [f"leftImg8bit/{city}/{city}_{k:03d}.png" for city in "abcdefghijkl" for k in range(20)]
FLAT = [f"JPEGImages/{k:04d}.jpg" for k in range(200)]


def test_folders_are_whole_where_there_are_ten_of_them() -> None:
    groups = group_samples(CITIES)
    held_out = choose_held_out(groups, 0.1)
    cities = {groups[name] for name in held_out}
    assert held_out == {name for name in CITIES if groups[name] in cities}
    assert len(held_out) == 20, "24 would be a tenth, and a city has 20"


def test_single_files_where_folders_are_few() -> None:
    held_out = choose_held_out(group_samples(FLAT), 0.1)
    assert len(held_out) == 20
    assert held_out != choose_held_out(group_samples(FLAT), 0.1, seed=1)


def test_the_choice_does_not_depend_on_the_order() -> None:
    shuffled = FLAT.copy()
    random.Random(0).shuffle(shuffled)
    assert choose_held_out(group_samples(shuffled), 0.1) == choose_held_out(
        group_samples(FLAT), 0.1
    )


def test_the_choice_is_that_of_every_machine() -> None:
    """Golden: hashes of the names decide, whatever the versions of Python and numpy."""
    names = [f"{k}.png" for k in range(12)]
    assert sorted(choose_held_out(group_samples(names), 0.25)) == ["1.png", "2.png", "6.png"]


def test_a_regular_expression_names_the_group() -> None:
    groups = group_samples(CITIES, by="/([a-z])_")
    assert set(groups.values()) == set("abcdefghijkl")
    assert group_samples(["a_1.png"], by="^a")["a_1.png"] == "a"


@pytest.mark.parametrize(
    "by, message",
    [("(", "neither 'dir' nor a regular expression"), ("xyz", "does not match 'leftImg8bit/a/")],
)
def test_a_bad_regular_expression_is_one_line(by: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        group_samples(CITIES, by)
    assert "\n" not in str(error.value)


def test_classes_are_held_out_alike_and_a_class_of_one_trains() -> None:
    names = [f"{label}/{k}.png" for label in range(12) for k in range(10 * (label + 1))]
    names.append("rare/0.png")
    labels = {name: 12 if name[0] == "r" else int(name.split("/")[0]) for name in names}
    groups = group_samples(names, labelled=True)
    held_out = choose_held_out(groups, 0.1, labels=labels)
    for label in range(12):
        assert sum(labels[name] == label for name in held_out) == label + 1
    assert not any(labels[name] == 12 for name in held_out)


def test_groups_of_a_classifier_stay_whole() -> None:
    names = [f"{person}/{k}.png" for person in range(30) for k in range(4)]
    labels = {name: int(name.split("/")[0]) % 3 for name in names}
    groups = group_samples(names, by="dir", labelled=True)
    held_out = choose_held_out(groups, 0.1, labels=labels)
    assert len(held_out) == 12
    assert {labels[name] for name in held_out} == {0, 1, 2}
    assert len({groups[name] for name in held_out}) == 3


@pytest.mark.parametrize(
    "names, by, labels, message",
    [
        (["a.png"], None, None, "has 1 samples in 1 groups, too few"),
        (FLAT, "dir", None, "has 200 samples in 1 groups, too few"),
        (["0/a", "0/b", "0/c", "1/a"], None, [0, 0, 0, 1], "all 1 held-out samples are of class 0"),
    ],
)
def test_what_cannot_be_held_out_is_one_line(names, by, labels, message: str) -> None:
    given = None if labels is None else dict(zip(names, labels, strict=True))
    with pytest.raises(ValueError, match=message) as error:
        choose_held_out(group_samples(names, by, labels is not None), 0.1, labels=given)
    assert "\n" not in str(error.value)


def test_something_is_held_out_and_something_left_whatever_the_sizes() -> None:
    names = [f"{folder}/{k}" for folder in "ab" for k in range(9)]
    held_out = choose_held_out(group_samples(names, by="dir"), 0.01)
    assert len(held_out) == 9
    assert len(choose_held_out(group_samples(names, by="dir"), 0.99)) == 9


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_the_fraction(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction between 0 and 1, got"):
        choose_held_out(group_samples(FLAT), fraction)
