"""What the hooks that move the state of a loss have in common."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from cals_mm.losses import StatefulLoss

from .multiplier_history import MultiplierHistory

__all__ = ["FollowingHook"]


class FollowingHook(Hook):
    """Log, keep and draw the state of a loss that a subclass finds and moves.

    Args:
        module: Name of the loss in the model, where there are several.
        draw: Draw the curves at the end of training.
    """

    # After EMAHook (50), which swaps the averaged weights back, before LoggerHook (60) and
    # CheckpointHook (90), which read the new values.
    priority = 55

    def __init__(self, module: str | None, draw: bool) -> None:
        self.module = module
        self.history = MultiplierHistory(draw)
        self._loss: StatefulLoss | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log the parts of the loss."""
        loss = self._loss
        if loss is not None and loss.last_parts is not None:
            for name, value in loss.last_parts._asdict().items():
                runner.message_hub.update_scalar(f"train/{loss.label.lower()}_{name}", value)

    def after_train(self, runner: Runner) -> None:
        """Draw the curves."""
        if self._loss is not None:
            self.history.draw(runner, self._loss)
        self._loss = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the curves."""
        self.history.save(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Continue the curves of a resumed run."""
        if runner._resume:
            self.history.load(checkpoint)
