"""Let a config's segmentation heads compute their losses before resizing."""

from __future__ import annotations

import copy

from mmengine.config import Config

from .imports import with_import
from .loss_site import type_name

__all__ = ["with_fused_resize"]


def with_fused_resize(cfg: Config) -> Config:
    """Return a copy of a config whose segmentation heads compute their losses before resizing.

    ``custom_hooks`` gains a :class:`~cals_mm.FusedResizeHook`, unless there is one or a
    ``CALSMultiplierHook``, which does the same.

    Args:
        cfg: A config of mmseg, with or without a method of this package.

    Raises:
        TypeError: If ``cfg`` is not a config.

    Example:
        >>> cfg = with_fused_resize(Config(dict(model=dict(type='EncoderDecoder'))))
        >>> cfg.custom_hooks
        [{'type': 'FusedResizeHook'}]
    """
    if not isinstance(cfg, Config):
        raise TypeError(f"cfg must be an mmengine Config, got {type(cfg).__name__}")
    cfg = copy.deepcopy(cfg)
    hooks = list(cfg.get("custom_hooks") or [])
    others = [
        hook
        for hook in hooks
        if type_name(hook) == "CALSMultiplierHook" and hook.get("fused_resize", True)
    ]
    if not others and "FusedResizeHook" not in map(type_name, hooks):
        cfg.custom_hooks = [*hooks, {"type": "FusedResizeHook"}]
    cfg.custom_imports = with_import(cfg.get("custom_imports"))
    return cfg
