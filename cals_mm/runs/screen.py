"""Keep the screen for progress and results; what the libraries say besides goes to the log file.

Only texts that are known, and that ask nothing of the user, are kept back. All others pass.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

import cv2
from mmengine.logging import MMLogger

__all__ = ["quiet_opencv", "quiet_screen"]

LOGGED = re.compile(
    r"(INFO|WARNING)(\x1b\[0m)? - "
    r"(\n-+\nSystem environment:|Config:\n|Hooks will be executed in the following order|Exp name: "
    r"|Loads checkpoint by |paramwise_options -- "
    r"|Distributed training is not used, all SyncBatchNorm"
    # Advice to the authors of metrics and data sets, who are the frameworks.
    r"|`save_param_scheduler` is True but |The prefix is not set in metric class "
    r"|\"(FileClient|HardDiskBackend)\" )"
)
"""Messages that MMEngine's logger writes to the log file anyway."""

PRINTED = re.compile(
    # mmseg and mmpretrain of the maintained stack, at every start: a service that nobody asked for.
    r"^Could not import OneDL$"
    # MMEngine of the maintained stack, of every checkpoint that it wrote itself.
    r"|^Could not safely load weights: .*Falling back to weights_only=False"
    # MMEngine, which also tells what was loaded from where.
    r"|^Loads checkpoint by "
    # MMEngine, where one process tests twice.
    r"|UserWarning: <class '[\w.]+'> instance named of \w+ has been created"
    # mmsegmentation 1.2.2, of its own heads.
    r"|UserWarning: ``build_loss`` would be deprecated soon"
    # mmcv without its compiled operators, which no config of this project uses.
    r"|UserWarning: Fail to import ``MultiScaleDeformableAttention``",
    re.DOTALL,
)
"""Texts and warnings that nobody writes down."""

ERRORS_ONLY = 2
"""OpenCV's ``LOG_LEVEL_ERROR``."""


class _Screen:
    """A stream that keeps back known texts, each in one piece, and the line end printed after it.

    Args:
        stream: Where all others go.
        kept_back: Receives texts that the log file lacks.
    """

    def __init__(self, stream: TextIO, kept_back: list[str]) -> None:
        self._stream = stream
        self._kept_back = kept_back
        self._line_end = False

    def write(self, text: str) -> int:
        """Write a text, unless it is known."""
        ends_line, self._line_end = self._line_end and text == "\n", False
        if ends_line:
            return len(text)
        printed = PRINTED.search(text)
        if not printed and not LOGGED.search(text):
            return self._stream.write(text)
        self._line_end = not text.endswith("\n")
        if printed:
            self._kept_back.append(text.rstrip("\n"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def quiet_screen() -> Iterator[None]:
    """Keep known texts from the screen while a block runs, and leave them in the run's log file."""
    kept_back: list[str] = []
    out, err = (cast(TextIO, _Screen(stream, kept_back)) for stream in (sys.stdout, sys.stderr))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        if MMLogger._instance_dict:
            _write_to_log(MMLogger.get_current_instance(), kept_back)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep from the screen what OpenCV says of images that the block itself reports."""
    # Of OpenCV 4 and 5; both return the level that was set before.
    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
    before = set_level(ERRORS_ONLY)
    try:
        yield
    finally:
        set_level(before)


def _write_to_log(logger: logging.Logger, texts: list[str]) -> None:
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            for text in texts:
                arguments = (logger.name, logging.WARNING, "", 0, text, (), None)
                handler.handle(logger.makeRecord(*arguments))
