"""Update the state of a loss after every validation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cals_mm.core import NonFiniteLogitsError, ValidationStatistics
from cals_mm.frameworks import keep_logits, logits_and_target, unwrap
from cals_mm.frameworks.sampling import SampleCounter, loaders_of
from cals_mm.functional._probabilities import NOT_LOGITS, are_probabilities

from ._following import FollowingHook
from ._schedule import MARKER, few_updates, validation_missed
from ._splits import shared_files
from .fused_resize_hook import FusedResizeHook

__all__ = ["CALSMultiplierHook"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class CALSMultiplierHook(FollowingHook):
    """Learn the multipliers of a :class:`CALSLoss` from the validation predictions.

    It drives any :class:`~cals_mm.losses.StatefulLoss` likewise. The logits are those that the
    evaluator has just seen: no second forward pass. Multipliers and rho are frozen when the
    validation begins and move when it ends, on every process alike. Per-class values are logged,
    kept in checkpoints, and drawn at the end of training.

    Args:
        module: Name of the loss in the model, where there are several.
        allow_test_data: Permit a validation set that shares files with the test set. Results on
            that test set are then optimistic.
        on_nonfinite: 'error' stops the run when validation logits hold NaN or Inf, 'keep' logs it
            and leaves the multipliers as they are.
        draw: Draw the curves of the multipliers at the end of training.
        load_state: Take over multipliers and all else that is learned from the checkpoint of
            ``load_from``. Otherwise only a resumed run does, and a new one begins anew.
        fused_resize: Let segmentation heads compute their losses before resizing, as
            :class:`FusedResizeHook` does.

    Raises:
        ValueError: For a bad argument; and at the start of training for a model without such a
            loss or with several, a run without validation, or one that validates on test
            files.
    """

    def __init__(
        self,
        module: str | None = None,
        allow_test_data: bool = False,
        on_nonfinite: str = "error",
        draw: bool = True,
        load_state: bool = False,
        fused_resize: bool = True,
    ) -> None:
        if on_nonfinite not in ("error", "keep"):
            raise ValueError(f"on_nonfinite must be 'error' or 'keep', got {on_nonfinite!r}")
        super().__init__(module, draw, load_state)
        self.allow_test_data = allow_test_data
        self.on_nonfinite = on_nonfinite
        self._fused_resize = FusedResizeHook() if fused_resize else None
        self._statistics: ValidationStatistics | None = None
        self._counter = SampleCounter([])
        self._nonfinite: str | None = None
        self._over = False
        self._not_logits = True
        self._missed = False
        self._stack = ExitStack()

    def before_run(self, runner: Runner) -> None:
        """Have word when the validation loop has seen its last batch."""
        if not any(isinstance(hook, _EndOfPass) for hook in runner.hooks):
            runner.register_hook(_EndOfPass(), "VERY_HIGH")

    def before_train(self, runner: Runner) -> None:
        """Find the loss and refuse set-ups that would learn nothing, or from the test set."""
        super().before_train(runner)
        if runner.val_loop is None:
            raise ValueError(
                "CALSMultiplierHook needs validation: set val_dataloader, val_cfg and "
                "val_evaluator to data that is neither trained nor tested on"
            )
        shared = 0 if self.allow_test_data else shared_files(runner)
        if shared:
            raise ValueError(
                f"{shared} validation files are test files too, and multipliers learned on them "
                "make the test results optimistic: hold out a part of the training set (--hold-out "
                "0.1, add_cals(..., hold_out=0.1), or a val_dataloader of your own), or accept it "
                "with CALSMultiplierHook(allow_test_data=True)"
            )
        self._counter = SampleCounter(loaders_of(runner.val_loop))
        self._missed = validation_missed(runner)
        state = None if self._loss is None else self._loss.state
        done = int(state.num_updates) + self._missed if state is not None else 0
        warning = few_updates(runner, done, "multipliers" if state is None else state.learned)
        if warning:
            runner.logger.warning(warning)
        if self._fused_resize is not None:
            self._fused_resize.before_train(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate first, where the checkpoint was written before its step's validation."""
        before = self._loss
        super().before_train_epoch(runner)
        missed, self._missed = self._missed, False
        # What a loss has missed matters only while it is the one that is trained.
        if missed and self._loss is before:
            runner.logger.info("Validating the resumed step, whose checkpoint was written before")
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Freeze the state of the loss, before an EMA swaps its own in."""
        if not self._training:
            return  # validation outside training
        self._follow(runner)
        if self._loss is None:
            return
        self._statistics = self._loss.state.start_dual_epoch()
        self._start_pass()
        self._stack.enter_context(keep_logits(unwrap(runner.model)))

    def _start_pass(self) -> None:
        self._counter.restart()
        self._nonfinite, self._over, self._not_logits = None, False, True

    def end_pass(self) -> None:
        """Begin again at the next batch: an EMA hook validates the original weights as well."""
        self._over = True

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Add the samples of a batch."""
        if self._statistics is None or self._found is None:
            return
        if self._over:
            self._statistics.reset_()
            self._start_pass()
        outputs = outputs or ()
        counts = self._counter.counts(len(outputs))
        samples = [
            logits_and_target(sample)
            for sample, counted in zip(outputs, counts, strict=True)
            if counted
        ]
        ignored = self._found.ignore_index
        try:
            for logits, target in _batches(samples):
                self._not_logits = self._not_logits and are_probabilities(logits)
                mask = None if ignored is None else target != ignored
                self._statistics.update(logits, mask, target)
        except NonFiniteLogitsError as error:
            if self._nonfinite is None:
                self._nonfinite = f"validation batch {batch_idx} of process {get_rank()}: {error}"

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Update the state of the loss, equally on all processes."""
        statistics, self._statistics = self._statistics, None
        if statistics is None or self._loss is None:
            return
        if self._not_logits and statistics.count:
            runner.logger.warning(NOT_LOGITS)
        found = [message for message in all_gather_object(self._nonfinite) if message]
        self._nonfinite = None
        if found:
            message = f"{self._loss.state.learned} stay as they are; {found[0]}"
            if self.on_nonfinite == "error":
                raise ValueError(message)
            runner.logger.error(message)
        else:
            self._loss.state.step_(statistics.all_reduce_())
            if statistics.count:
                self.history.append(runner, self._loss)
        runner.message_hub.update_info(MARKER, runner.iter)

    def after_val(self, runner: Runner) -> None:
        """Leave the model as it was."""
        self._stack.close()

    def after_train(self, runner: Runner) -> None:
        """Make up for the last validation, if that was the missed one, and draw the curves."""
        if self._missed:
            self.before_train_epoch(runner)
        super().after_train(runner)
        if self._fused_resize is not None:
            self._fused_resize.after_train(runner)


class _EndOfPass(Hook):
    """Tell :class:`CALSMultiplierHook` that the validation loop has seen its last batch.

    Before any other hook, for one of them may let the model see the batches once more.
    """

    priority = "VERY_HIGH"

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CALSMultiplierHook):
                hook.end_pass()


def _batches(
    samples: list[tuple[torch.Tensor, torch.Tensor]],
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Stack the score vectors of a classifier; images keep a batch each, for sizes may differ."""
    if not samples:
        return []
    if samples[0][0].ndim == 1:
        logits, targets = zip(*samples, strict=True)
        return [(torch.stack(logits), torch.stack(targets))]
    return [(logits[None], target[None]) for logits, target in samples]
