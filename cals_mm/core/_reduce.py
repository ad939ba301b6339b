"""Sums and maxima over processes, for the statistics of a validation, and the end of a group."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["leave_process_group", "max_over_processes", "sum_over_processes_"]


def sum_over_processes_(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes; no-op without a process group.

    With float64 sums and int64 counts, the result does not depend on the number of processes.
    """
    if not _in_a_group():
        return
    for tensor in tensors:
        buffer = tensor.to(_device())
        dist.all_reduce(buffer)
        tensor.copy_(buffer)


def max_over_processes(number: int) -> int:
    """Return the largest number among the processes; without a process group, the number itself."""
    if not _in_a_group():
        return number
    buffer = torch.tensor(number, device=_device())
    dist.all_reduce(buffer, op=dist.ReduceOp.MAX)
    return int(buffer)


def leave_process_group() -> None:
    """Leave the process group after all processes have finished; no-op without one."""
    if not _in_a_group():
        return
    # A distributed model must be freed first, and no process may leave while others still
    # communicate with it; otherwise gloo sometimes aborts the process.
    gc.collect()
    dist.barrier()
    # The threads of gloo need the interpreter to free the last tensors. PyTorch 2.1 waits for
    # them in the next line without letting them have it, for ever.
    time.sleep(0.5)
    dist.destroy_process_group()


def _in_a_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def _device() -> torch.device:
    # NCCL reduces on the GPU only; with gloo only the CPU is sure to work.
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
