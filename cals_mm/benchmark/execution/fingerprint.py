"""Hashes that tell whether two configs describe the same training or test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from mmengine.config import Config

__all__ = ["TESTING", "TRAINING", "fingerprint"]

TRAINING = (
    *("default_scope", "model", "train_dataloader", "val_dataloader", "val_evaluator"),
    *("train_cfg", "val_cfg", "optim_wrapper", "param_scheduler"),
    *("custom_hooks", "default_hooks", "randomness"),
    *("data_preprocessor", "load_from", "auto_scale_lr"),
)
"""Parts of a config that training depends on."""
TESTING = (
    *("default_scope", "model", "data_preprocessor"),
    *("test_dataloader", "test_evaluator", "test_cfg"),
)
"""Parts of a config that a test depends on."""
# These affect only the log.
_SILENT_HOOKS = ("logger", "timer", "visualization")


def fingerprint(cfg: Config, parts: Iterable[str]) -> str:
    """Hash parts of a config, regardless of data folders, logging and the kind of precision."""
    values = {part: _without_paths(cfg.get(part)) for part in parts if cfg.get(part) is not None}
    preprocessor = values.pop("data_preprocessor", None)
    if preprocessor is not None:
        # MMEngine gives it to a model that has none of its own.
        values["model"] = {"data_preprocessor": preprocessor, **values.get("model", {})}
    if not values.get("auto_scale_lr", {}).get("enable"):
        values.pop("auto_scale_lr", None)
    for hook in _SILENT_HOOKS:
        values.get("default_hooks", {}).pop(hook, None)
    if "AmpOptimWrapper" in str(values.get("optim_wrapper", {}).get("type")):
        # What --amp makes of it depends on the machine, which is not the one that asks later.
        values["optim_wrapper"]["type"] = "mixed precision"
        for key in ("loss_scale", "dtype", "use_fsdp"):
            values["optim_wrapper"].pop(key, None)
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=repr).encode()).hexdigest()


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_paths(item) for k, item in value.items() if k != "data_root"}
    if isinstance(value, (list, tuple)):
        return [_without_paths(item) for item in value]
    return value
