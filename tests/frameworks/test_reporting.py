"""What only reports is never the reason why a run stops."""

import pytest
from mmengine.logging import MMLogger

from cals_mm.frameworks.reporting import never_fatal


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
