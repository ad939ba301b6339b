"""Update the state of a loss after every validation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cals_mm.frameworks import keep_logits, unwrap
from cals_mm.frameworks.heads import refuse_other_scores
from cals_mm.frameworks.sampling import SampleCounter, loaders_of
from cals_mm.frameworks.selections import metainfo_of
from cals_mm.frameworks.shared_files import shared_files, test_data_error
from cals_mm.losses import StatefulLoss
from cals_mm.metrics import CalibrationMetric

from ._following import FollowingHook
from ._schedule import MARKER, few_updates, validation_missed
from ._validation_pass import ValidationPass
from .fused_resize_hook import FusedResizeHook

__all__ = ["CALSMultiplierHook"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class CALSMultiplierHook(FollowingHook):
    """Learn the multipliers of a :class:`CALSLoss` from the validation predictions.

    It drives any other :class:`~cals_mm.losses.StatefulLoss` in the same way. It reads the logits
    that the evaluator has just seen, so no second forward pass is needed. Multipliers and rho are
    frozen at the start of a validation and updated at its end, identically on all processes.
    Per-class values are logged, kept in checkpoints, and drawn at the end of training.

    Args:
        module: Name of the loss in the model; needed only if there are several.
        allow_test_data: Allow a validation set that shares files with the test set. Results on that
            test set are then optimistic.
        on_nonfinite: With 'error', NaN or Inf in validation logits stops the run; with 'keep', it
            is logged and the multipliers stay unchanged.
        draw: Draw the curves of the multipliers at the end of training.
        load_state: Continue from the multipliers and other learned state in the checkpoint of
            ``load_from``. By default only a resumed run continues from a checkpoint's state; a new
            run starts afresh.
        fused_resize: Let segmentation heads compute their losses before resizing, as
            :class:`FusedResizeHook` does.

    Raises:
        ValueError: For an invalid argument; and at the start of training, if the model has no such
            loss or several, or if the run does not validate or validates on test files.
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
        self._pass: ValidationPass | None = None
        self._counter = SampleCounter([])
        self._missed = False
        self._stack = ExitStack()

    def before_run(self, runner: Runner) -> None:
        """Register a hook that reports the end of the validation loop."""
        if not any(isinstance(hook, _EndOfPass) for hook in runner.hooks):
            runner.register_hook(_EndOfPass(), "VERY_HIGH")

    def before_train(self, runner: Runner) -> None:
        """Find the loss, and reject runs that would learn nothing or learn from the test set."""
        super().before_train(runner)
        if runner.val_loop is None:
            raise ValueError(
                "CALSMultiplierHook needs validation: set val_dataloader, val_cfg and "
                "val_evaluator to data that is neither trained nor tested on"
            )
        if self._found is not None:
            loader = runner.train_dataloader
            refuse_other_scores(unwrap(runner.model), self._found.name, loader)
            _check_classes(runner, self._found.loss)
        shared = 0 if self.allow_test_data else shared_files(runner)
        if shared:
            raise test_data_error(shared)
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
        """Validate first if the checkpoint was written before the validation of its step."""
        before = self._loss
        super().before_train_epoch(runner)
        missed, self._missed = self._missed, False
        # A missed update matters only for the loss that is being trained.
        if missed and self._loss is before:
            runner.logger.info("Validating the resumed step, whose checkpoint was written before")
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Freeze the state of the loss before an EMA hook swaps in the averaged weights."""
        if not self._training:
            return  # validation outside training
        self._follow(runner)
        if self._loss is None:
            return
        assert self._found is not None
        statistics = self._loss.state.start_dual_epoch()
        self._pass = ValidationPass(statistics, self._found.ignore_index, self._counter)
        self._stack.enter_context(self._pass.shared_with(runner.val_loop.evaluator.metrics))
        self._stack.enter_context(keep_logits(unwrap(runner.model)))

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Add the samples of a batch."""
        if self._pass is not None:
            self._pass.add(batch_idx, outputs or ())

    def end_loader(self) -> None:
        """Note the last batch of a loader."""
        if self._pass is not None:
            self._pass.end_loader()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Update the state of the loss, unless another loader of this validation is to come."""
        if self._pass is not None and not self._pass.to_be_continued:
            self._update(runner)

    def _update(self, runner: Runner) -> None:
        """Update the state of the loss, identically on all processes."""
        seen, self._pass = self._pass, None
        if seen is None or self._loss is None:
            return
        if warning := seen.warning():
            runner.logger.warning(warning)
        found = [message for message in all_gather_object(seen.nonfinite) if message]
        if found:
            message = f"{self._loss.state.learned} stay as they are; {found[0]}"
            if self.on_nonfinite == "error":
                raise ValueError(message)
            runner.logger.error(message)
        else:
            self._loss.state.step_(seen.statistics.all_reduce_())
            if seen.statistics.count:
                self.history.append(runner, self._loss)
        runner.message_hub.update_info(MARKER, runner.iter)

    def after_val(self, runner: Runner) -> None:
        """Restore the model, and update the state if the loop left a loader out."""
        self._stack.close()
        self._update(runner)

    def after_train(self, runner: Runner) -> None:
        """Run the last validation if it was missed, and draw the curves."""
        if self._missed:
            self.before_train_epoch(runner)
        super().after_train(runner)
        if self._fused_resize is not None:
            self._fused_resize.after_train(runner)


def _check_classes(runner: Runner, loss: StatefulLoss) -> None:
    """Refuse what the metric would refuse at the first validation, before the first step."""
    outputs = getattr(loss.state, "num_classes", None)
    measured = any(isinstance(m, CalibrationMetric) for m in runner.val_loop.evaluator.metrics)
    names = metainfo_of(runner.val_dataloader.dataset).get("classes")
    if measured and outputs and names is not None and len(names) != outputs:
        raise ValueError(
            f"the data set has {len(names)} classes but the head {outputs} outputs; set "
            "num_classes (and out_channels) of the head and its loss to the data set's"
        )


class _EndOfPass(Hook):
    """Tell :class:`CALSMultiplierHook` that the validation loop has seen its last batch.

    It runs before all other hooks, since one of them may pass the batches through the model again.
    """

    priority = "VERY_HIGH"

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CALSMultiplierHook):
                hook.end_loader()
