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
    """Train segmentation heads without full-size logits, which is faster and takes less memory.

    Loss, accuracy and gradient are computed in one pass at the size of the head's own logits. This
    applies to decode and auxiliary heads that compute their losses as mmsegmentation's base class
    does, have no pixel sampler, and use only losses whose formula this package knows: CALS, label
    smoothing, MbLS, and mmsegmentation's softmax cross entropy. Values differ by rounding only;
    names in logs and checkpoints stay the same. All other heads are left unchanged, and the log
    lists both groups. Models of other frameworks are not touched.

    ``CALSMultiplierHook`` does the same by default.

    Example:
        >>> hook = FusedResizeHook()
    """

    def before_train(self, runner: Runner) -> None:
        """Replace the losses, and log the heads concerned."""
        fused, others = fuse_heads(unwrap(runner.model))
        if not fused and not others:
            return
        line = f"Losses before resizing (fused_resize) in: {', '.join(fused) or 'no head'}"
        if others:
            line += f"; as configured in: {', '.join(others)}"
        runner.logger.info(line)

    def after_train(self, runner: Runner) -> None:
        """Restore the heads' own method."""
        restore_heads(unwrap(runner.model))
