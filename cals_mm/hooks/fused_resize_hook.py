"""Compute the losses of segmentation heads before their logits are resized."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cals_mm.frameworks import unwrap

from ._fused_heads import fuse_heads, restore_heads

__all__ = ["FusedResizeHook"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class FusedResizeHook(Hook):
    """Train segmentation heads without full-size logits: faster, and in a fraction of the memory.

    Decode and auxiliary heads that compute their losses as mmsegmentation's base class does, have
    no pixel sampler, and only losses of which this package knows the formula (CALS, label
    smoothing, MbLS, and mmsegmentation's softmax cross entropy) compute loss, accuracy and
    gradient in one pass at the size of their own logits. The values are those of before but for
    rounding; names in the log and checkpoints stay. Every other head stays as it is, and the log
    says which are which. A model of another framework is left alone.

    ``CALSMultiplierHook`` does the same by itself.

    Example:
        >>> hook = FusedResizeHook()
    """

    def before_train(self, runner: Runner) -> None:
        """Replace the losses, and say whose."""
        fused, others = fuse_heads(unwrap(runner.model))
        if not fused and not others:
            return
        line = f"Losses before resizing (fused_resize) in: {', '.join(fused) or 'no head'}"
        if others:
            line += f"; as configured in: {', '.join(others)}"
        runner.logger.info(line)

    def after_train(self, runner: Runner) -> None:
        """Give the heads their own method back."""
        restore_heads(unwrap(runner.model))
