"""MMEngine's optimizer wrapper for mixed precision on the CPU.

Its base pulls in most of torch.distributed, so a run imports this module only when it builds the
wrapper.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

__all__ = ["CPUAmpOptimWrapper"]


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Optimizer wrapper that runs the forward pass under bfloat16 autocast on the CPU.

    MMEngine's ``AmpOptimWrapper`` requires an accelerator. bfloat16 has the range of float32, so
    the loss need not be scaled, and checkpoints are the same as without AMP.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass, with gradient accumulation, under autocast."""
        with super().optim_context(model), torch.autocast("cpu", dtype=torch.bfloat16):
            yield
