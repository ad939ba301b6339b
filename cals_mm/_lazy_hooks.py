"""Register hooks, and a data set, that are imported only when a runner builds them.

Importing ``mmengine.hooks`` loads most of ``torch.distributed`` and takes longer than the rest of
this package, which users of losses and metrics alone need not wait for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mmengine.registry import DATASETS, HOOKS, Registry

__all__ = ["HOOK_NAMES", "register_hooks"]

HOLD_OUT = ("HoldOutSplit", "cals_mm.datasets.hold_out_split")

HOOK_NAMES = (
    "CALSMultiplierHook",
    "ClassCountsHook",
    "EpochValidationHook",
    "FusedResizeHook",
    "KeepLogitsHook",
    "RandomStateHook",
    "SampleMultiplierHook",
)


def register_hooks() -> None:
    """Register for each class a function that imports it; the class then replaces the function."""
    for name in HOOK_NAMES:
        _register(HOOKS, name, "cals_mm.hooks")
    # --hold-out must work for configs that import nothing from this package.
    _register(DATASETS, *HOLD_OUT)


def _register(registry: Registry, name: str, module: str) -> None:
    if name not in registry.module_dict:
        registry.register_module(name=name, module=_factory(name, module))


def _factory(name: str, module: str) -> Any:
    def build(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    build.__name__ = build.__qualname__ = name
    return build
