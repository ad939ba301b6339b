"""Titles and names of classes are the user's: whatever they hold is drawn as it stands."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from cals_mm.visualization import (
    calibration_by_frequency,
    class_error_bars,
    class_reliability,
    compare_reliability,
    state_curves,
)
from cals_mm.visualization.names import unique_names
from tests.visualization.test_pictures import assert_picture, statistics

NAMES = ["cash $$", "$_$", r"a$\frac$", "_road", "road\nlane", "{x} %s \\"]


def draw_curves(names):
    return state_curves([1, 2], {"lambda": np.arange(12.0).reshape(2, 6)}, names)


PICTURES = {
    "curves": draw_curves,
    "bars": lambda names: class_error_bars({name: statistics() for name in names[:2]}, names),
    "reliability": lambda names: compare_reliability({name: statistics() for name in names[:3]}),
    "classes": lambda names: class_reliability(statistics(), names),
    "frequency": lambda names: calibration_by_frequency(statistics(), 10 ** np.arange(6), names),
}


@pytest.fixture
def texts(monkeypatch):
    """What the last picture shows as text."""
    found: list[str] = []

    def remember(figure, *args, **kwargs):
        found[:] = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]

    original = Figure.draw

    def draw(figure, renderer):
        original(figure, renderer)
        remember(figure)

    monkeypatch.setattr(Figure, "draw", draw)
    return found


@pytest.mark.parametrize("picture", PICTURES)
def test_any_name_can_be_drawn(picture, texts):
    assert_picture(PICTURES[picture](NAMES))
    shown = "\n".join(texts)
    for name in NAMES[: {"bars": 6, "reliability": 3}.get(picture, 6)]:
        assert " ".join(name.split()) in shown, name


@pytest.mark.parametrize("name", ["$x$", "_x", "a\tb"])
def test_a_name_needs_the_room_of_its_letters(name):
    """Not that of a formula, and it is not left out of the legend."""
    plain = "Xx" if name == "_x" else "XxX" if name == "$x$" else "a b"
    pictures = [draw_curves([one, *"bcdef"]) for one in (name, plain)]
    assert pictures[0].shape == pictures[1].shape
    ink = [float((picture < 128).mean()) for picture in pictures]
    assert ink[0] == pytest.approx(ink[1], rel=0.1)


@pytest.mark.parametrize("name", ["caf\udce9", "\ud800x", "\udcff\udcfe"])
@pytest.mark.parametrize("picture", PICTURES)
def test_names_that_are_not_unicode(picture, name, texts):
    assert_picture(PICTURES[picture]([name, *NAMES[1:]]))
    assert any(ascii(name)[1:-1] in text for text in texts), texts


def test_powers_of_ten_stay_formulas(texts):
    calibration_by_frequency(statistics(), 10 ** np.arange(6), NAMES)
    assert any(r"\mathdefault{10^{" in text for text in texts)


def test_a_user_who_draws_with_latex(monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    assert_picture(draw_curves(NAMES))


# --- names that look the same ----------------------------------------------------------------


LONG = ["a very long name of a class, the first", "a very long name of a class, the second"]
ALIKE = {"equal": ["thing"] * 6, "equal when shortened": LONG * 3, "in space": ["a b", "a  b"] * 3}


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("picture", [name for name in PICTURES if name != "reliability"])
def test_classes_of_like_names_are_told_apart(kind, picture, texts):
    PICTURES[picture](ALIKE[kind])
    shown = [text for text in texts if text.startswith(("thing", "a very", "a b"))]
    assert len(set(shown)) >= 6, texts


@pytest.mark.parametrize(
    "names",
    [["thing", "sky", "thing"], ["", "", ""], ["a", "a", "a (1)"], ["a (0)", "a", "a", "a (0)"]],
)
def test_every_name_is_there_once(names):
    unique = unique_names(names)
    assert len(set(unique)) == len(names)
    assert all(new.startswith(old) for new, old in zip(unique, names))


def test_different_names_stay():
    assert unique_names(("road", "car")) == ["road", "car"]
