"""Worker threads for tiles of tensor operations."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from torch import Tensor

__all__ = ["buffers", "run_tiles"]

SERIAL_ELEMENTS = 32768
"""Torch processes operands with fewer elements in the calling thread."""

_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_pool_lock = threading.Lock()
_local = threading.local()


def run_tiles(make_worker: Callable[[], Callable[[int], None]], tiles: int, first: Tensor) -> None:
    """Call ``worker(i)`` once for each i < ``tiles``, on as many threads as torch may use.

    Torch releases the interpreter lock inside its kernels, so the workers run in parallel. Each
    worker runs its kernels in a single thread, so there is no barrier after each operation at which
    one delayed thread would hold up the others.

    Args:
        make_worker: Makes the function that a thread calls with tile indices; one per thread, so
            that it may keep state.
        tiles: Number of tiles.
        first: One of the largest tiles. If it is not on the CPU, this thread launches all tiles.
    """
    threads = torch.get_num_threads() if first.device.type == "cpu" else 1
    numbers = itertools.count()  # next() of a count is atomic

    def work() -> None:
        with torch.no_grad():
            worker = make_worker()
            for number in numbers:
                if number >= tiles:
                    return
                worker(number)

    # A single tile is also faster on a worker, unless torch's kernels do not split it anyway.
    if threads == 1 or (tiles == 1 and first.numel() < SERIAL_ELEMENTS):
        work()
        return
    pool = _threads(threads)
    futures = [pool.submit(work) for _ in range(min(threads, tiles))]
    wait(futures)
    for future in futures:
        future.result()


def buffers(number: int, like: Tensor, dtype: torch.dtype, owner: str = "") -> tuple[Tensor, ...]:
    """Return uninitialised tensors of a tile's shape that belong to this thread.

    They are reused, since allocating new memory costs more than the work on it, and the allocator
    keeps far more for a thread than the thread ever holds at a time.

    Args:
        number: Number of tensors.
        like: Tensor that tells their shape and device.
        dtype: Of the tensors.
        owner: Buffers of different owners do not overlap; those of one owner do.
    """
    if like.device.type != "cpu":
        return torch.empty((number, *like.shape), dtype=dtype, device=like.device).unbind(0)
    kept: dict[tuple[str, torch.dtype], Tensor] = _local.__dict__.setdefault("kept", {})
    key, size = (owner, dtype), number * like.numel()
    if key not in kept or kept[key].numel() < size:
        kept[key] = torch.empty(size, dtype=dtype)
    return kept[key][:size].view(number, *like.shape).unbind(0)


def _threads(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _pool_lock:
        if _pool is None or _pool_size < size:
            threads = torch.get_num_threads()
            _pool = ThreadPoolExecutor(size, "cals_mm", initializer=_use_one_thread)
            started = threading.Barrier(size)
            wait([_pool.submit(started.wait) for _ in range(size)])
            torch.set_num_threads(threads)  # the initial value of new threads
            _pool_size = size
        return _pool


def _use_one_thread() -> None:
    # A thread adopts the common number on its first read, which would otherwise happen later.
    torch.get_num_threads()
    torch.set_num_threads(1)


def _forget_pool() -> None:
    # A forked child has no threads of its parent, but maybe a lock that one of them held.
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
