"""Number of CPU threads of a process."""

from __future__ import annotations

import os

import torch
from mmengine.config import Config

__all__ = ["choose_threads", "cores", "use_threads"]

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads torch may use."""


def cores() -> int:
    """Number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_threads(number: int) -> bool:
    """Use a number of threads in this process, unless the environment says how many.

    Returns:
        Whether it is used.
    """
    if any(os.environ.get(variable) for variable in VARIABLES):
        return False
    torch.set_num_threads(number)
    return True


def choose_threads(cfg: Config) -> str | None:
    """Use as many threads as the ``cpu_threads`` of a config says.

    The operations of a small model are so short that threads mainly wait for each other, and on
    cores that other processes keep busy they wait for threads that do not run: such a training then
    takes many times as long as with one thread.

    Args:
        cfg: The config; without ``cpu_threads`` nothing changes.

    Returns:
        A line to print; None if the environment or torch says how many threads there are.

    Raises:
        ValueError: If ``cpu_threads`` is not a positive integer.
    """
    number = cfg.get("cpu_threads")
    if number is None:
        return None
    if not isinstance(number, int) or number < 1:
        raise ValueError(f"cpu_threads is {number!r}: give a number of threads, at least 1")
    if not use_threads(number):
        return None
    threads = "1 CPU thread" if number == 1 else f"{number} CPU threads"
    return f"{threads}, by the config's cpu_threads; OMP_NUM_THREADS sets another number"
