"""Make up for a validation that a resumed run would miss.

MMEngine writes its periodic checkpoints before the validation of the same step. A run that resumes
from one goes on with training, so the multipliers would miss one update.
"""

from __future__ import annotations

from mmengine.runner import EpochBasedTrainLoop, Runner

__all__ = ["MARKER", "validation_missed"]

MARKER = "cals_last_update"
"""Key of the message hub: iteration of the last multiplier update."""


def validation_missed(runner: Runner) -> bool:
    """Whether a validation was due at this very step and has not updated the multipliers."""
    loop = runner.train_loop
    if not runner._resume or runner.iter == 0 or runner.val_loop is None:
        return False
    if runner.message_hub.runtime_info.get(MARKER, -1) >= runner.iter:
        return False
    loop._decide_current_val_interval()
    if isinstance(loop, EpochBasedTrainLoop):
        step, last = runner.epoch, runner.max_epochs
    else:
        step, last = runner.iter, runner.max_iters
    return step >= loop.val_begin and (step % loop.val_interval == 0 or step == last)
