"""Learned state is loaded as a whole or not at all."""

import copy
import re

import pytest
import torch

from cals_mm.core import AugmentedLagrangian, AutoMargin, HeuristicRule, RegionLagrangian


def moved(state):
    for value in state.state_dict().values():
        value.fill_(7)
    return state


def copied(state):
    return {key: value.clone() for key, value in state.state_dict().items()}


def assert_equal(left, right):
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)


MISFITS = {
    "other classes": (
        lambda: AugmentedLagrangian(3, AutoMargin()),
        lambda: AugmentedLagrangian(4, AutoMargin()),
        r"multipliers has shape \(3,\), this one \(4,\)",
    ),
    "a margin that moves": (
        lambda: AugmentedLagrangian(3),
        lambda: AugmentedLagrangian(3, AutoMargin()),
        "has no auto_margin.accuracy",
    ),
    "a margin that moved": (
        lambda: AugmentedLagrangian(3, AutoMargin()),
        lambda: AugmentedLagrangian(3),
        "has auto_margin.accuracy beside",
    ),
    "another rule": (lambda: HeuristicRule(3), lambda: AugmentedLagrangian(3), "previous_score"),
    "other classes of regions": (
        lambda: RegionLagrangian(3),
        lambda: RegionLagrangian(4),
        r"multipliers has shape \(2, 3\), this one \(2, 4\)",
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
@pytest.mark.parametrize("prefix", ["", "head.loss."])
def test_what_does_not_fit_is_left_out_whole(kind, prefix):
    make_old, make_new, message = MISFITS[kind]
    old, new = moved(make_old()), make_new()
    before = copied(new)
    for part in prefix.split(".")[-2::-1] if prefix else ():
        new = torch.nn.ModuleDict({part: new})
        old = torch.nn.ModuleDict({part: old})
    with pytest.raises(RuntimeError):
        new.load_state_dict(old.state_dict())
    state = new.get_submodule(prefix.rstrip("."))
    assert_equal(copied(state), before)
    assert re.search(message, state.misfit)


def test_what_fits_is_taken_and_can_be_left_again():
    old, new = (
        moved(AugmentedLagrangian(3, AutoMargin())),
        AugmentedLagrangian(3, AutoMargin(5.0)),
    )
    first = copied(new)
    assert not new.loaded
    new.load_state_dict(old.state_dict())
    assert new.loaded and new.misfit is None and new.margin == 7
    copy.deepcopy(new).settle()
    new.load_state_dict(old.state_dict())  # twice, as an EMA hook does
    new.begin_anew_()
    assert_equal(copied(new), first)
    assert new.margin == 5 and not new.loaded
    new.load_state_dict(old.state_dict())
    new.settle()
    new.begin_anew_()
    assert_equal(copied(new), copied(old))


def test_a_checkpoint_without_state_is_no_load():
    state = AugmentedLagrangian(3)
    state.load_state_dict({}, strict=False)
    assert not state.loaded and state.misfit is None
