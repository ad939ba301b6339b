"""Keep the logits of classifiers for metrics and multipliers."""

from __future__ import annotations

from contextlib import ExitStack

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cals_mm.frameworks import keep_logits, unwrap

__all__ = ["KeepLogitsHook"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class KeepLogitsHook(Hook):
    """Add its logits to a classifier's predictions during validation and test.

    ``CalibrationMetric`` reads them. ``CALSMultiplierHook`` does the same for its own validations,
    so this hook is needed only without CALS, and for tests. It has no effect with mmsegmentation,
    whose data samples hold logits already.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._stack = ExitStack()

    def before_val(self, runner: Runner) -> None:
        """Start to keep the logits."""
        self._stack.enter_context(keep_logits(unwrap(runner.model)))

    def after_val(self, runner: Runner) -> None:
        """Restore the model."""
        self._stack.close()

    before_test = before_val
    after_test = after_val
