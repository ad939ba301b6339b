"""Reports that must not stop a run, such as figures and logs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmengine.logging import MMLogger, print_log

__all__ = ["never_fatal", "unique_names", "warn"]


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


def unique_names(names: Sequence[str]) -> list[str]:
    """Make names unique by appending the index to those that occur twice.

    Example:
        >>> unique_names(["thing", "sky", "thing"])
        ['thing (0)', 'sky', 'thing (2)']
    """
    names = list(names)
    while len(set(names)) < len(names):
        times = Counter(names)
        names = [f"{name} ({k})" if times[name] > 1 else name for k, name in enumerate(names)]
    return names
