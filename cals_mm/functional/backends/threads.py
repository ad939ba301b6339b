"""Worker threads for tiles of tensor work."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["SERIAL_ELEMENTS", "run_tiles"]

SERIAL_ELEMENTS = 32767
"""Largest operand that torch's elementwise kernels and reductions treat in the calling thread."""

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def run_tiles(
    make_worker: Callable[[], Callable[[int], None]], tiles: int, device: torch.device
) -> None:
    """Call ``worker(i)`` once for each i < ``tiles``, on as many threads as torch may use.

    Each thread has a worker of its own, so a worker may keep buffers. Torch releases the
    interpreter lock inside its kernels, and operands of at most ``SERIAL_ELEMENTS`` keep those
    from starting threads of their own, so tiles are the only parallelism: there is no barrier
    after each operation, at which one delayed thread would hold up the others.

    Args:
        make_worker: Makes the function that a thread calls with numbers of tiles.
        tiles: How many there are.
        device: Where they lie; other than on the CPU, one thread does the launches.
    """
    threads = min(torch.get_num_threads(), tiles) if device.type == "cpu" else 1
    numbers = itertools.count()  # next() of a count is atomic

    def work() -> None:
        with torch.no_grad():
            worker = make_worker()
            for number in numbers:
                if number >= tiles:
                    return
                worker(number)

    helpers = [_threads(threads - 1).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            helper.result()


def _threads(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    if _pool is None or _pool_size < size:
        _pool = ThreadPoolExecutor(size, thread_name_prefix="cals_mm")
        _pool_size = size
    return _pool


def _forget_pool() -> None:
    # A forked child has none of its parent's threads.
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
