"""Sums over processes, for statistics of one validation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["sum_over_processes_"]


def sum_over_processes_(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over all processes; nothing happens without a process group.

    With float64 sums and int64 counts, N processes give what one gives.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    # NCCL reduces only on the GPU, gloo only surely on the CPU.
    device = torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
    for tensor in tensors:
        buffer = tensor.to(device)
        dist.all_reduce(buffer)
        tensor.copy_(buffer)
