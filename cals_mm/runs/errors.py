"""The boundary where an error of the user's becomes one line on stderr and exit code 2."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from .devices import leave_process_group, rank

__all__ = ["one_line", "run"]

# What this package, MMEngine's registries and the file system raise for a wrong value, name or
# path, and the frameworks for a model that cannot be trained.  Anything else (RuntimeError,
# AssertionError, ...) is a defect and keeps its traceback.
USER_ERRORS = (ValueError, TypeError, KeyError, OSError, ImportError, NotImplementedError)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Errors of a disk that takes no more."""

DEBUG_VARIABLE = "CALS_MM_DEBUG"


def run(main: Callable[[Sequence[str] | None], object], argv: Sequence[str] | None = None) -> None:
    """Call a command; end the process with code 2 and one line if the user's input is at fault.

    ``CALS_MM_DEBUG=1`` in the environment shows the traceback as well. Of several processes only
    the first one prints the line.

    Args:
        main: The command.
        argv: Its arguments; None: those of the process.
    """
    try:
        main(argv)
        leave_process_group()
    except KeyboardInterrupt:
        _say("interrupted; --resume continues from the last checkpoint")
        sys.exit(130)
    except USER_ERRORS as error:
        if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
            traceback.print_exc()
        _say(f"error: {one_line(error)}")
        sys.exit(2)


def one_line(error: BaseException) -> str:
    """The message of an error on one line, without the traceback a data worker puts into it."""
    # str() of a KeyError is the repr of its argument.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if "Traceback" in text:
        lines = lines[-1:]
    if isinstance(error, OSError) and error.errno in FULL and "--" not in text:
        what = repr(error.filename) if error.filename else "to the disk"
        return (
            f"cannot write {what} ({error.strerror}); make room, or choose another folder by "
            "--work-dir"
        )
    if isinstance(error, KeyError) and len(lines) == 1 and " " not in lines[0]:
        lines = [f"{lines[0]!r} is missing (KeyError; {DEBUG_VARIABLE}=1 shows where)"]
    return " ".join(lines) or type(error).__name__


def _say(message: str) -> None:
    if rank() == 0:
        sys.stdout.flush()
        print(message, file=sys.stderr, flush=True)
