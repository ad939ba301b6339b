"""Ratios of times on noisy machines, and peak memory, for the benchmarks."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch


def alternate(
    works: dict[str, Callable[[], object]], rounds: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """Seconds of each work in each round; in a round each runs once, after the other.

    Load from outside then falls on all of them alike, so their ratio within a round tells more
    than their times.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(warm_up + rounds):
        for name, work in works.items():
            elapsed = _seconds(work)
            if number >= warm_up:
                seconds[name].append(elapsed)
    return seconds


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Median over rounds of the ratio within the round."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def milliseconds(seconds: Sequence[float]) -> float:
    """Median, in ms."""
    return 1000 * statistics.median(seconds)


def _seconds(work: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1000
    begin_time = time.perf_counter()
    work()
    return time.perf_counter() - begin_time


def extra_mib(work: Callable[[], object]) -> float:
    """The most resident memory above the present one while the work ran, MiB; Linux only.

    The kernel's high-water mark of this process (VmHWM), put back to the present beforehand.
    Call it in a fresh process, whose allocator has no freed memory at hand.
    """
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status_mib("VmRSS")
    work()
    return _status_mib("VmHWM") - before


def available_mib() -> float:
    """Memory that a new process could have, MiB; Linux only."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1024


def _status_mib(key: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def in_fresh_process(script: str, *arguments: str) -> float:
    """The number that a script prints last, run in a process of its own."""
    command = [sys.executable, script, *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header, in columns."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print(flush=True)
