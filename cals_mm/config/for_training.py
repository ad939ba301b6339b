"""A config with a method, and with the choices that a training makes where nobody made them."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from cals_mm.methods import find_method

from .fused_resize import with_fused_resize
from .hold_out import shares_test_files
from .loss_site import find_site
from .with_method import with_method

__all__ = ["for_training"]

HOLD_OUT = 0.1
"""Share of the training samples that becomes the validation set, where that is the test set."""


def for_training(
    cfg: Config,
    name: str,
    *,
    allow_test_data: bool = False,
    hold_out: float | None = None,
    hold_out_by: str | None = None,
    **loss_options: Any,
) -> Config:
    """Return a copy of a config as ``tools/train.py --method`` trains it.

    Beyond :func:`with_method`, what nobody chose is chosen: the automatic margin for ``'cals'``
    where neither option nor config says a margin, training data that are held out where the
    config validates on its test set, and losses before resizing where the method's loss can.

    Args:
        cfg: A config.
        name: A name in ``cals_mm.methods.METHODS``.
        allow_test_data: Let the method learn on a validation set that is the test set too.
        hold_out: As of :func:`with_method`.
        hold_out_by: As of :func:`with_method`.
        **loss_options: More arguments of the method's loss.

    Raises:
        TypeError, ValueError: As of :func:`with_method`.
    """
    method = find_method(name)
    if name == "cals" and "margin" not in (cfg.get("method_defaults") or {}):
        loss_options.setdefault("margin", "auto")
    needed = not allow_test_data and shares_test_files(cfg)
    if hold_out is None and (needed or hold_out_by is not None):
        hold_out = HOLD_OUT
    hook = {"allow_test_data": True} if allow_test_data else None
    changed = with_method(
        cfg, name, hook=hook, hold_out=hold_out, hold_out_by=hold_out_by, **loss_options
    )
    if method.resizes and find_site(changed.model).segmentation:
        changed = with_fused_resize(changed)
    return changed
