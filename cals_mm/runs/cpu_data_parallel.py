"""MMEngine's wrapper of a model for processes without a GPU.

Its base pulls in most of torch.distributed, so a run imports this module only when it builds the
wrapper.
"""

from __future__ import annotations

from typing import Any

from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

__all__ = ["CPUDistributedDataParallel"]


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's wrapper for processes without a GPU, without synchronised batch norm.

    Synchronised layers are replaced in the built model, as they may come from the default of a
    constructor.
    """

    def __init__(self, module: nn.Module, *args: Any, **kwargs: Any) -> None:
        super().__init__(revert_sync_batchnorm(module), *args, **kwargs)
