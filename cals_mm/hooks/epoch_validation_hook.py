"""Validate an iteration loop about once an epoch."""

from __future__ import annotations

import math

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop, Runner

__all__ = ["EpochValidationHook"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class EpochValidationHook(Hook):
    """Lower ``val_interval`` of an iteration loop to about an epoch.

    What follows the validation moves once per validation, and configs of iteration loops validate
    ten times in a training. Where the loop validates more often already, it stays as it is; so do
    loops with ``dynamic_intervals``.

    Args:
        max_validations: Validations of the whole training at most, for small data sets.

    Raises:
        ValueError: If that is not positive.
    """

    priority = "VERY_HIGH"  # before the hooks that ask when a validation is due

    def __init__(self, max_validations: int = 100) -> None:
        if max_validations < 1:
            raise ValueError(f"max_validations must be positive, got {max_validations}")
        self.max_validations = max_validations

    def before_train(self, runner: Runner) -> None:
        """Set the interval, and say so."""
        loop = runner.train_loop
        if not isinstance(loop, IterBasedTrainLoop) or len(loop.dynamic_intervals) > 1:
            return
        loader = runner.train_dataloader
        epoch = math.ceil(len(loader.dataset) / ((loader.batch_size or 1) * get_world_size()))
        interval = max(epoch, math.ceil(loop.max_iters / self.max_validations))
        if interval < loop.val_interval:
            runner.logger.info(
                f"Validating every {interval} iterations instead of every {loop.val_interval}: an "
                f"epoch has {epoch}"
            )
            loop.val_interval = interval
            loop.dynamic_intervals[0] = interval
