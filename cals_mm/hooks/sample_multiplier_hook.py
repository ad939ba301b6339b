"""Update the multipliers of each training sample after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from cals_mm.core import SampleStatistics
from cals_mm.frameworks.sampling import SampleCounter
from cals_mm.losses import SampleCALSLoss

from ._following import FollowingHook

__all__ = ["SampleMultiplierHook"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class SampleMultiplierHook(FollowingHook):
    """Learn the multipliers of a :class:`~cals_mm.losses.SampleCALSLoss` during training.

    Before each iteration it passes the batch's sample indices to the loss, which records the
    violations as it computes the penalty, so no further forward pass is needed. Multipliers and rho
    are updated after each epoch, identically on all processes; no validation is needed. Class-wise
    means are logged, kept in checkpoints, and drawn at the end of training.

    Args:
        module: Name of the loss in the model; needed only if there are several.
        draw: Draw the curves at the end of training.
        load_state: Continue from the multipliers in the checkpoint of ``load_from``. By default
            only a resumed run continues from a checkpoint's state; a new run starts afresh.

    Raises:
        ValueError: At the start of training, if the model has no such loss or several, the loop
            does not count epochs, or ``num_samples`` is not the size of the data set; at the first
            iteration, if the batches do not hold sample indices.
    """

    def __init__(
        self, module: str | None = None, draw: bool = True, load_state: bool = False
    ) -> None:
        super().__init__(module, draw, load_state)
        self._statistics: SampleStatistics | None = None
        self._counter = SampleCounter([])

    def before_train(self, runner: Runner) -> None:
        """Find the loss, and reject runs in which it cannot learn."""
        super().before_train(runner)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                f"SampleMultiplierHook needs epochs, but train_cfg is a "
                f"{type(runner.train_loop).__name__}: use dict(by_epoch=True, max_epochs=...)"
            )
        if self._sample_loss is not None:
            self._check_size(runner, self._sample_loss)
        self._counter = SampleCounter([runner.train_dataloader])

    def before_train_epoch(self, runner: Runner) -> None:
        """Start an epoch with empty statistics."""
        super().before_train_epoch(runner)
        self._counter.restart()
        self._statistics = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Tell the loss which samples the batch holds."""
        super().before_train_iter(runner, batch_idx, data_batch)
        loss = self._sample_loss
        if loss is None:
            return
        if self._statistics is None or self._statistics.lagrangian is not loss.state:
            self._check_size(runner, loss)
            self._statistics = loss.state.start_dual_epoch()
        numbers = _sample_numbers(data_batch)
        counts = self._counter.counts(len(numbers))
        loss.start_batch(numbers, self._statistics, counts)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Log the parts of the loss."""
        if self._sample_loss is not None:
            self._sample_loss.end_batch()
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def after_train_epoch(self, runner: Runner) -> None:
        """Update the state of the loss, identically on all processes."""
        statistics, self._statistics = self._statistics, None
        loss = self._sample_loss
        if statistics is not None and loss is not None:
            loss.state.step_(statistics.all_reduce_())
            self.history.append(runner, loss)

    @staticmethod
    def _check_size(runner: Runner, loss: SampleCALSLoss) -> None:
        size = _numbered_size(runner.train_dataloader.dataset)
        if loss.lagrangian.num_samples != size:
            raise ValueError(
                f"num_samples is {loss.lagrangian.num_samples}, but the training set has "
                f"{size} samples: set num_samples={size} in the SampleCALSLoss"
            )

    @property
    def _sample_loss(self) -> SampleCALSLoss | None:
        return cast("SampleCALSLoss | None", self._loss)


def _numbered_size(dataset: Any) -> int:
    """Size of the data set that numbers the samples."""
    if hasattr(dataset, "datasets"):
        raise ValueError(
            f"{type(dataset).__name__} numbers the samples of each part from 0, so they would "
            "share multipliers: train SampleCALSLoss on a single data set"
        )
    # Wrappers that repeat or select samples keep the samples' indices.
    return _numbered_size(dataset.dataset) if hasattr(dataset, "dataset") else len(dataset)


def _sample_numbers(batch: Any) -> list[int]:
    """Indices of a batch's samples, from its ``sample_idx`` tensor or from its data samples."""
    if isinstance(batch, Mapping):
        if batch.get("sample_idx") is not None:
            return [int(number) for number in batch["sample_idx"]]
        numbers: list[Any] = [
            getattr(one, "sample_idx", None) for one in batch.get("data_samples") or ()
        ]
        if numbers and None not in numbers:
            return [int(number) for number in numbers]
    raise ValueError(
        "the batch does not say which samples it holds: add 'sample_idx' to the meta_keys of "
        "PackInputs, or use a data set and collate_fn that give sample_idx"
    )
