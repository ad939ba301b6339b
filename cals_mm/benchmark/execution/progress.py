"""Which run of how many, and how long the rest will take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "duration"]


class Progress:
    """Counts trainings and says a line when one begins, ends, or was done before.

    Args:
        total: Trainings in all.
        jobs: Trainings at a time.
        say: Gets each line.
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
        """A run that was trained before."""
        with self._guard:
            self._started += 1
            self._left -= 1
            self.say(f"[{self._started}/{self.total}] {name}: trained before")

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """A run that is trained; ended well or badly, it is not left to do."""
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
    """Seconds as a reader says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
