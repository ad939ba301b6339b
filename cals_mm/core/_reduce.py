"""Sums and maxima over processes, for statistics of one validation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["max_over_processes", "sum_over_processes_"]


def sum_over_processes_(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes; nothing happens without a process group.

    With float64 sums and int64 counts, N processes give what one gives.
    """
    if not _in_a_group():
        return
    for tensor in tensors:
        buffer = tensor.to(_device())
        dist.all_reduce(buffer)
        tensor.copy_(buffer)


def max_over_processes(number: int) -> int:
    """Return the largest of the processes' numbers; without a process group, the number."""
    if not _in_a_group():
        return number
    buffer = torch.tensor(number, device=_device())
    dist.all_reduce(buffer, op=dist.ReduceOp.MAX)
    return int(buffer)


def _in_a_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def _device() -> torch.device:
    # NCCL reduces only on the GPU, gloo only surely on the CPU.
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
