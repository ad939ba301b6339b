"""The table of methods agrees with the losses that it names."""

import inspect
from pathlib import Path

import pytest

import cals_mm.losses
from cals_mm.methods import METHODS, REFERENCE, Knob, find_method


def parameters(method):
    return inspect.signature(method.loss).parameters


def test_the_reference_comes_first():
    assert next(iter(METHODS)) == REFERENCE
    assert find_method("cals").title == "CALS"
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


def test_every_loss_has_a_method():
    named = {method.loss.__name__ for method in METHODS.values() if method.loss}
    exported = {name for name in cals_mm.losses.__all__ if name.endswith("Loss")}
    assert {name for name in exported if hasattr(cals_mm, name)} == named


@pytest.mark.parametrize("method", [m for m in METHODS.values() if m.loss], ids=lambda m: m.name)
def test_what_is_given_and_tried_is_an_argument(method):
    known = parameters(method)
    assert {*method.takes, *method.arguments} <= set(known)
    needed = {
        name for name, p in known.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    assert needed <= set(method.takes)
    if method.knob:
        assert isinstance(method.defaults[method.knob.argument], float)


def test_factors_and_values():
    assert Knob("m", factors=(0.5, 1.0, 2.0)).others(3.0) == [1.5, 6.0]
    assert Knob("a", values=(0.1, 0.2)).others(0.1 + 1e-17) == [0.2]


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_the_methods_names_it(name):
    page = Path(__file__).resolve().parents[1] / "docs" / "baselines.md"
    assert f"`{name}`" in page.read_text("utf-8")
