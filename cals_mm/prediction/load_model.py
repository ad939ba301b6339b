"""Build a model for prediction, without data sets, runner or work dir."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn

__all__ = ["load_model"]

NOT_FOR_PREDICTION = ("loss", "auxiliary", "data_preprocessor", "num_batches_tracked")
"""Beginnings of the names of parts that no prediction is made from."""


def load_model(cfg: Config, checkpoint: Mapping[str, Any]) -> nn.Module:
    """Build the model of a config and load the weights of a checkpoint.

    Args:
        cfg: The config; not modified. Its default scope must be MMEngine's.
        checkpoint: As read from the file, a ``state_dict`` or a dict with one. Multipliers, and
            other parts that only training needs, may be missing or left over.

    Returns:
        The model in evaluation mode, on the GPU if there is one.

    Raises:
        ValueError: If weights are missing or of another shape.
    """
    settings = copy.deepcopy(cfg.model)
    settings.pop("pretrained", None)  # the checkpoint's weights come instead
    model: nn.Module = MODELS.build(settings)
    device = get_device()
    if device == "cpu":
        model = revert_sync_batchnorm(model)
    state = checkpoint.get("state_dict", checkpoint)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    own = model.state_dict()
    needed = {key: value for key, value in own.items() if not _only_for_training(key)}
    wrong = [key for key in needed if key not in state or state[key].shape != needed[key].shape]
    if wrong:
        key = wrong[0]
        found = f"it has {tuple(state[key].shape)}" if key in state else "which it lacks"
        raise ValueError(
            f"the checkpoint does not fit the config: the model needs {key!r} of shape "
            f"{tuple(needed[key].shape)}, {found}; give the config that it was trained with"
        )
    model.load_state_dict({key: state[key] for key in needed}, strict=False)
    return model.to(device).eval()


def _only_for_training(key: str) -> bool:
    return any(part.startswith(NOT_FOR_PREDICTION) for part in key.split("."))
