"""What only reports is never the reason why a run stops, and no value hides another."""

import pytest
from mmengine.logging import MMLogger

from cals_mm.frameworks.reporting import never_fatal, unique_names


@pytest.mark.parametrize("error", [ValueError("a\nb"), RuntimeError("full"), KeyError("x")])
def test_a_failure_is_a_warning_of_one_line(error, monkeypatch):
    lines = []
    logger = MMLogger.get_instance("reporting")
    monkeypatch.setattr(logger, "log", lambda level, text, *rest: lines.append((level, text)))
    with never_fatal("drawing"):
        raise error
    ((level, text),) = lines
    assert level == 30 and "drawing failed" in text and type(error).__name__ in text
    assert "\n" not in text


def test_a_stop_by_the_user_is_none():
    with pytest.raises(KeyboardInterrupt), never_fatal("drawing"):
        raise KeyboardInterrupt


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
