"""What the hooks that move the state of a loss have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from cals_mm.frameworks import unwrap
from cals_mm.losses import StatefulLoss

from ._locate import Located, LossNotFoundError, locate_loss
from ._settle import settle_state
from .multiplier_history import MultiplierHistory

__all__ = ["FollowingHook"]


class FollowingHook(Hook):
    """Find the loss that is trained, and log, keep and draw the state that a subclass moves.

    Another hook may replace the loss during training, so it is looked up again every iteration.

    Args:
        module: Name of the loss in the model; needed only if there are several.
        draw: Draw the curves at the end of training.
        load_state: Continue from the state in the checkpoint of ``load_from``. By default only a
            resumed run continues from a checkpoint's state; a new run starts afresh.
    """

    # After EMAHook (50), which swaps the averaged weights back, before LoggerHook (60) and
    # CheckpointHook (90), which read the new values.
    priority = 55

    def __init__(self, module: str | None, draw: bool, load_state: bool) -> None:
        self.module = module
        self.load_state = load_state
        self.history = MultiplierHistory(draw)
        self._found: Located | None = None
        self._last: StatefulLoss | None = None
        self._place: tuple[str, nn.Module | None] | None = None
        self._training = False
        self._resumed: Mapping[str, Any] | None = None

    @property
    def _loss(self) -> StatefulLoss | None:
        """The loss being trained; None outside training, or if that loss has no state."""
        return None if self._found is None else self._found.loss

    def before_train(self, runner: Runner) -> None:
        """Find the loss, and decide whether to keep the state of a loaded checkpoint."""
        self._training = True
        self._follow(runner, first=True)
        resumed, self._resumed = self._resumed, None
        model = unwrap(runner.model)
        for name, loss in list(model.named_modules()):
            if isinstance(loss, StatefulLoss) and loss.driven_by == type(self).__name__:
                text = settle_state(loss, name, resumed, self.load_state)
                runner.logger.info(text)

    def before_train_epoch(self, runner: Runner) -> None:
        """Look for the loss again."""
        self._follow(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Look for the loss again."""
        self._follow(runner)

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
        if self._last is not None:
            self.history.draw(runner, self._last)
        self._found = self._place = self._last = None
        self._training = False

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the curves."""
        self.history.save(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Continue the curves of a resumed run, and keep its state for a loss that comes later."""
        if runner._resume:
            self.history.load(checkpoint)
            self._resumed = checkpoint.get("state_dict") or {}

    def _follow(self, runner: Runner, first: bool = False) -> None:
        """Find the loss that is trained now, unless it stands where it stood."""
        model = unwrap(runner.model)
        if self._place is not None and _at(model, self._place[0]) is self._place[1]:
            return
        before = self._found
        try:
            found = locate_loss(model, self.module, type(self).__name__)
        except LossNotFoundError:
            if first and not _will_come(runner, type(self).__name__):
                raise
            self._found = None
            if before is not None:
                now = _at(model, before.name)
                self._place = (before.name, now)
                runner.logger.warning(
                    f"{before.name} is a {type(now).__name__} now, which has no state to learn: "
                    f"the {before.loss.state.learned} of {before.loss.label} end here"
                )
            return
        self._found, self._place = found, (found.name, found.loss)
        self._last = found.loss
        found.loss.updated_by_hook = True
        if not first:
            runner.logger.info(
                f"{found.name} is another loss now, a {type(found.loss).__name__}, whose "
                f"{found.loss.state.learned} begin at their first values"
            )


def _at(model: nn.Module, name: str) -> nn.Module | None:
    try:
        return model.get_submodule(name)
    except AttributeError:
        return None


def _will_come(runner: Runner, driver: str) -> bool:
    """Whether a hook like mmpretrain's SwitchRecipeHook brings the loss later."""
    for hook in runner.hooks:
        schedule = getattr(hook, "schedule", None)
        for recipe in schedule.values() if isinstance(schedule, Mapping) else ():
            loss = recipe.get("loss") if isinstance(recipe, Mapping) else None
            if isinstance(loss, StatefulLoss) and loss.driven_by == driver:
                return True
    return False
