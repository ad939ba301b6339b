"""Known texts of the libraries stay off the screen and are in the log file; all others pass."""

import io
import logging
import sys
import warnings
from pathlib import Path

import pytest
from mmengine.logging import MMLogger, print_log

from cals_mm.runs import run
from cals_mm.runs.screen import quiet_screen

LOADED = (
    "Could not safely load weights: a\nlong story. Falling back to weights_only=False. The end."
)


@pytest.fixture
def logger(tmp_path: Path):
    before = MMLogger._instance_dict.copy()
    loggers = []

    def make() -> MMLogger:
        file = str(tmp_path / "run.log")
        loggers.append(MMLogger.get_instance(tmp_path.name, log_file=file, log_level="INFO"))
        return loggers[0]

    yield make
    for handler in loggers[0].handlers:
        handler.close()
    MMLogger._instance_dict.clear()
    MMLogger._instance_dict.update(before)


@pytest.mark.parametrize(
    "encoding, text",
    [("utf-8", "caf\udce9"), ("utf-8", "\ud800"), ("ascii", "é"), ("latin-1", "道")],
)
def test_what_the_terminal_lacks_is_escaped(monkeypatch, encoding, text):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, errors="strict"))
    run(lambda argv: print(text))
    sys.stdout.flush()
    assert written.getvalue().decode(encoding) == ascii(text)[1:-1] + "\n"


def test_known_texts_are_in_the_log_file_only(logger, tmp_path, capsys):
    with quiet_screen():
        print("first")
        print_log("Could not import OneDL", level=logging.DEBUG)
        print()
        own = logger()
        own.info("Config:\nmodel = dict()")
        own.info("Hooks will be executed in the following order:\nbefore_run: X")
        own.info("Epoch(train) [1][5/5] loss: 2.8")
        print_log(LOADED, level=logging.WARNING)
        own.warning("the multipliers hardly move")
        print("last")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:2] == ["first", ""] and lines[-1] == "last" and not err
    assert [line.split(" - ")[-1] for line in lines[2:-1]] == [
        "Epoch(train) [1][5/5] loss: 2.8",
        "the multipliers hardly move",
    ]
    log = (tmp_path / "run.log").read_text()
    for text in ("Could not import OneDL", "model = dict()", "before_run: X", LOADED, "loss: 2.8"):
        assert log.count(text) == 1, text


@pytest.mark.parametrize(
    "text",
    [
        "I could not import OneDL",
        "Could not safely load weights: and that was it",
        "Config:",
        "11/28 19:23:37 - mmengine - INFO - Config of the model",
        "UserWarning: Fail to import something else",
    ],
)
def test_what_is_not_known_passes(capsys, text):
    with quiet_screen():
        print(text)
        print(text, file=sys.stderr)
    assert capsys.readouterr() == (f"{text}\n", f"{text}\n")


def test_of_warnings_only_the_known_are_kept(capsys):
    def warn(message: str) -> None:
        sys.stderr.write(warnings.formatwarning(message, UserWarning, "lib.py", 3, "warn(text)"))

    with quiet_screen():
        warn("Fail to import ``MultiScaleDeformableAttention`` from mmcv")
        warn("the scores are no logits")
    assert (
        capsys.readouterr().err == "lib.py:3: UserWarning: the scores are no logits\n  warn(text)\n"
    )


def test_the_debug_variable_shows_all(monkeypatch, capsys):
    def main(argv: object) -> None:
        print("Could not import OneDL")

    run(main, [])
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("CALS_MM_DEBUG", "1")
    run(main, [])
    assert capsys.readouterr().out == "Could not import OneDL\n"


def test_the_screen_is_a_stream_like_the_one_below(capsys):
    below = sys.stdout
    with quiet_screen():
        assert sys.stdout is not below
        assert sys.stdout.isatty() == below.isatty() and sys.stdout.encoding == below.encoding
    assert sys.stdout is below
