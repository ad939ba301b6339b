"""Run several trainings and tests at once, each in its own process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

__all__ = ["Processes", "RunFailed"]

T = TypeVar("T")


class RunFailed(Exception):
    """A training or a test failed; the message is one line for the user."""


class Processes:
    """Run commands, several at a time, and end them all on an interrupt.

    Args:
        jobs: Number of commands to run at a time; with more than one, each gets one thread, unless
            the environment says how many (``OMP_NUM_THREADS``).
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._stopped = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()

    def __str__(self) -> str:
        if self.jobs == 1:
            return "one training at a time"
        number = os.environ.get("OMP_NUM_THREADS") or self._threads().get("OMP_NUM_THREADS")
        return f"{self.jobs} trainings at a time, with OMP_NUM_THREADS={number or 'unset'} for each"

    def _threads(self) -> dict[str, str]:
        """Variables for the commands: threads of several would wait for each other's cores."""
        variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        if self.jobs == 1 or any(os.environ.get(variable) for variable in variables):
            return {}
        return dict.fromkeys(variables, "1")

    def map(self, function: Callable[[T], None], items: Sequence[T]) -> None:
        """Call ``function`` with every item, ``jobs`` of them at a time."""
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def call(self, command: Callable[[], Sequence[str]], log: Path, lock: Path) -> None:
        """Run a command to its end.

        Args:
            command: Returns program and arguments; called once the lock is held.
            log: File to append its output to.
            lock: File that is locked while it runs. The command inherits the lock, so that if the
                benchmark is killed while a command goes on, no second one is started.

        Raises:
            RunFailed: If it fails, or another process holds the lock.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        env = dict(os.environ)
        env.update(self._threads())
        with _locked(lock) as held, log.open("ab") as out:
            arguments = command()
            with self._guard:
                if self._stopped:
                    raise RunFailed("interrupted")
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=env,
                    pass_fds=[held.fileno()],
                )
                self._running.add(process)
            try:
                code = process.wait()
            finally:
                self._running.discard(process)
        if code and self._stopped:
            raise RunFailed("interrupted")
        if code < 0:
            raise RunFailed(f"ended by {_signal(-code)}; the same command goes on (log: {log})")
        if code:
            raise RunFailed(f"{_last_line(log) or f'exit code {code}'} (log: {log})")

    def stop(self) -> None:
        """End running commands, and start no more."""
        with self._guard:
            self._stopped = True
            for process in self._running:
                process.terminate()


@contextmanager
def _locked(file: Path) -> Iterator[IO[bytes]]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailed(
                f"another process works in {str(file.parent)!r}; start again when it has ended"
            ) from None
        yield stream


def _signal(number: int) -> str:
    if number == signal.SIGKILL:
        return "SIGKILL, which the system sends when memory is short"
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _last_line(file: Path) -> str:
    lines = file.read_text("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
