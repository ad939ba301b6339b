"""Hooks that are registered now and imported when a runner builds them.

Importing ``mmengine.hooks`` loads most of ``torch.distributed`` and takes longer than all the rest
of this package. Whoever only wants the loss or the metrics need not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mmengine.registry import HOOKS

__all__ = ["HOOK_NAMES", "register_hooks"]

HOOK_NAMES = (
    "CALSMultiplierHook",
    "ClassCountsHook",
    "FusedResizeHook",
    "KeepLogitsHook",
    "RandomStateHook",
    "SampleMultiplierHook",
)


def register_hooks() -> None:
    """Register a function per hook that imports the class, which then takes its place."""
    for name in HOOK_NAMES:
        if name not in HOOKS.module_dict:
            HOOKS.register_module(name=name, module=_factory(name))


def _factory(name: str) -> Any:
    def build(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module("cals_mm.hooks"), name)(*args, **kwargs)

    build.__name__ = build.__qualname__ = name
    return build
