"""Turn user errors into one line on stderr and exit code 2."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch.distributed as dist

from cals_mm.core._reduce import leave_process_group

from .devices import rank
from .screen import quiet_screen

__all__ = ["on_interrupt", "one_line", "run"]

# Raised by this package, MMEngine's registries and the file system for wrong values, names and
# paths, and by the frameworks for models that cannot be trained. Other exceptions (RuntimeError,
# AssertionError, ...) are defects and keep their traceback.
USER_ERRORS = (ValueError, TypeError, KeyError, OSError, ImportError, NotImplementedError)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Error numbers of a full disk."""

DEBUG_VARIABLE = "CALS_MM_DEBUG"

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of a shell."""


def run(main: Callable[[Sequence[str] | None], object], argv: Sequence[str] | None = None) -> None:
    """Run a command; on a user error, print one line and exit with code 2.

    ``CALS_MM_DEBUG=1`` in the environment shows the traceback too, and all that libraries say. With
    several processes, only the first prints the line, and once they work together, as one may meet
    a file that the others do not read, each that fails.

    Args:
        main: The command.
        argv: Its arguments; None for those of the process.
    """
    debug = os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As for stderr: names of files and classes may hold what the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with nullcontext() if debug else quiet_screen():
            main(argv)
            leave_process_group()
    except KeyboardInterrupt as interrupt:
        _say("; ".join(["interrupted", *interrupt.args]))
        sys.exit(INTERRUPTED)
    except USER_ERRORS as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {one_line(error)}")
        sys.exit(2)


@contextmanager
def on_interrupt(advice: str) -> Iterator[None]:
    """Let :func:`run` say more than "interrupted" if Ctrl-C ends the block; a decorator too.

    Args:
        advice: What the block leaves behind, and how to go on.

    Raises:
        KeyboardInterrupt: With the advice, after Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(advice) from None


def one_line(error: BaseException) -> str:
    """The message of an error on one line, without the traceback that data workers add."""
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
    number = rank()
    if number and not dist.is_initialized():
        return
    sys.stdout.flush()
    print(f"process {number}: {message}" if number else message, file=sys.stderr, flush=True)
