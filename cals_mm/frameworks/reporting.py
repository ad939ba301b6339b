"""Reports that must not stop a run, such as figures and logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger, print_log

__all__ = ["never_fatal", "warn"]


def warn(message: str) -> None:
    """Log a warning, even without a runner's logger."""
    logger = "current" if MMLogger._instance_dict else None
    print_log(message, logger=logger, level=logging.WARNING)


@contextmanager
def never_fatal(what: str) -> Iterator[None]:
    """Log an exception in the block as a warning, and continue after the block.

    Args:
        what: Name of the action for the log, e.g. 'drawing the multipliers'.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        warn(f"{what} failed, and the run goes on without: {type(error).__name__}: {reason}")
