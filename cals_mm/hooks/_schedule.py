"""When a run validates: the validations still to come, and one that a resumed run would miss.

MMEngine writes its periodic checkpoints before the validation of the same step. A run resumed from
such a checkpoint continues with training, so the multipliers would miss that update.
"""

from __future__ import annotations

import bisect
import math
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

__all__ = ["MARKER", "MIN_UPDATES", "few_updates", "validation_missed"]

MARKER = "cals_last_update"
"""Key of the message hub: iteration of the last multiplier update."""
MIN_UPDATES = 20
"""With fewer updates than this, the multipliers hardly change."""


def validation_missed(runner: Runner) -> bool:
    """Whether a validation was due at this step but has not updated the multipliers."""
    if not runner._resume or runner.iter == 0 or runner.val_loop is None:
        return False
    if runner.message_hub.runtime_info.get(MARKER, -1) >= runner.iter:
        return False
    return _validates(runner.train_loop, *_progress(runner))


def few_updates(runner: Runner, done: int, learned: str) -> str | None:
    """Warning for the start of a run in which the multipliers will hardly change.

    Args:
        runner: The runner, at the start of training.
        done: Updates that the run made before it was resumed.
        learned: What is updated, for the message.

    Returns:
        One line; None if there will be at least :data:`MIN_UPDATES` updates, or if their number is
        not known.
    """
    loop = runner.train_loop
    if not isinstance(loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
        return None
    step, last = _progress(runner)
    coming = sum(_validates(loop, later, last) for later in range(step + 1, last + 1))
    total = done + coming
    if total >= MIN_UPDATES:
        return None
    unit = "epoch" if isinstance(loop, EpochBasedTrainLoop) else "iteration"
    cure = _cure(loop, last)
    if not total:
        return (
            f"no validation will run (val_begin={loop.val_begin}, val_interval="
            f"{loop.val_interval}, the last {unit} is {last}), so the {learned} will keep their "
            f"first values: {cure}"
        )
    return (
        f"the {learned} change once a validation, and with {total} of them they hardly leave "
        f"their first values ({MIN_UPDATES} are few): {cure}"
    )


def _progress(runner: Runner) -> tuple[int, int]:
    """Steps done and steps in total, in the unit of the loop's ``val_interval``."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return runner.epoch, runner.max_epochs
    return runner.iter, runner.max_iters


def _validates(loop: Any, step: int, last: int) -> bool:
    """Whether a loop validates after this many steps, as MMEngine's two loops decide it."""
    place = bisect.bisect(loop.dynamic_milestones, step + 1)
    interval = loop.dynamic_intervals[place - 1]
    return step >= loop.val_begin and (step % interval == 0 or step == last)


def _cure(loop: Any, last: int) -> str:
    loader = loop.dataloader
    processed = (loader.batch_size or 1) * get_world_size()
    epoch = max(1, math.ceil(len(loader.dataset) / processed))
    if isinstance(loop, EpochBasedTrainLoop):
        if last >= MIN_UPDATES:
            return f"set val_begin=1, val_interval={max(1, last // (2 * MIN_UPDATES))} in train_cfg"
        last *= epoch
        change = f"type='IterBasedTrainLoop', max_iters={last}, "
        short = "train longer, or validate more often than once an epoch"
    else:
        change, short = "", "train longer, or validate more often"
    if last < MIN_UPDATES:
        return short
    interval = min(epoch, last // MIN_UPDATES)
    return f"set train_cfg = dict({change}val_begin=1, val_interval={interval})"
