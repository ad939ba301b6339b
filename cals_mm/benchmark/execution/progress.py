"""Report which run of how many is trained, and the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "duration"]


class Progress:
    """Count trainings, and report when one starts, ends, or was done before.

    Args:
        total: Total number of trainings.
        jobs: Trainings at a time.
        say: Receives each line.
    """

    def __init__(self, total: int, jobs: int, say: Callable[[str], None]) -> None:
        self.total = total
        self.jobs = jobs
        self.say = say
        self._started = 0
        self._left = total
        self._seconds: list[float] = []
        self._guard = threading.Lock()

    def skip(self, name: str) -> None:
        """Count a run that was trained before."""
        with self._guard:
            self._started += 1
            self._left -= 1
            self.say(f"[{self._started}/{self.total}] {name}: trained before")

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count a run while it is trained; it is done even if it fails."""
        with self._guard:
            self._started += 1
            place = f"[{self._started}/{self.total}]"
            self.say(f"{place} {name}: training")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            with self._guard:
                self._left -= 1
            raise
        seconds = time.monotonic() - began
        with self._guard:
            self._left -= 1
            self._seconds.append(seconds)
            self.say(f"{place} {name}: trained in {duration(seconds)}; {self._rest()}")

    def _rest(self) -> str:
        if not self._left:
            return "that was the last"
        mean = sum(self._seconds) / len(self._seconds)
        rounds = max(1.0, self._left / self.jobs)
        return f"{self._left} left, about {duration(mean * rounds)}"


def duration(seconds: float) -> str:
    """Format a number of seconds for reading."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
