"""The sums of one validation, over the batches of all its loaders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import get_rank
from torch import Tensor

from cals_mm.core import DualStatistics, NonFiniteLogitsError, SharedPass, ValidationStatistics
from cals_mm.frameworks import logits_and_target
from cals_mm.frameworks.sampling import SampleCounter
from cals_mm.functional._probabilities import LogitsCheck
from cals_mm.metrics import CalibrationMetric

__all__ = ["ValidationPass"]


class ValidationPass:
    """Add up the logits of a validation.

    Args:
        statistics: Their sums, from the state of the loss.
        ignore_index: Label to ignore. None ignores no label.
        counter: Tells which samples count; several processes may see one twice.

    Attributes:
        statistics: The sums.
        nonfinite: Where the first logits that are NaN or infinite were, if any.
        to_be_continued: Whether another loader of this validation is to come.
    """

    def __init__(
        self, statistics: ValidationStatistics, ignore_index: int | None, counter: SampleCounter
    ) -> None:
        self.statistics = statistics
        self._ignore_index = ignore_index
        self._counter = counter
        self._shared: SharedPass | None = None
        self._start()

    def _start(self) -> None:
        self._counter.restart()
        self._check_logits = LogitsCheck()
        self.nonfinite: str | None = None
        self.to_be_continued = self._over = False

    @contextmanager
    def shared_with(self, metrics: Iterable[Any]) -> Iterator[None]:
        """Let the calibration metric, which reads the logits first, compute the sums as well."""
        readers = [metric for metric in metrics if isinstance(metric, CalibrationMetric)]
        if isinstance(self.statistics, DualStatistics):
            self._shared = SharedPass(self.statistics, self._ignore_index)
        for metric in readers:
            metric.shared = self._shared
        try:
            yield
        finally:
            for metric in readers:
                metric.shared = None

    def add(self, batch_idx: int, outputs: Sequence[Any]) -> None:
        """Add the samples of a batch."""
        if self._over:
            self.statistics.reset_()
            self._start()
        counts = self._counter.counts(len(outputs))
        counted = [sample for sample, used in zip(outputs, counts, strict=True) if used]
        try:
            for logits, target in _batches([logits_and_target(sample) for sample in counted]):
                self._check_logits.add(logits)
                self._add(logits, target)
        except NonFiniteLogitsError as error:
            if self.nonfinite is None:
                self.nonfinite = f"validation batch {batch_idx} of process {get_rank()}: {error}"
        if self._shared is not None:
            self._shared.clear()

    def _add(self, logits: Tensor, target: Tensor) -> None:
        mask = None if self._ignore_index is None else target != self._ignore_index
        sums = None if self._shared is None else self._shared.take(logits)
        if sums is not None and isinstance(self.statistics, DualStatistics):
            self.statistics.update(logits, mask, target, sums)
        else:
            self.statistics.update(logits, mask, target)

    def end_loader(self) -> None:
        """Start afresh at the next batch: an EMA hook may validate the original weights as well.

        A loop may also end an epoch for each of its loaders; then the next one continues the pass.
        """
        self.to_be_continued = self._counter.end_loader()
        self._over = not self.to_be_continued

    def warning(self) -> str | None:
        """One line if the scores were no logits."""
        return self._check_logits.warning()


def _batches(samples: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Stack the logits of a classifier; images stay separate batches, as their sizes may differ."""
    if not samples:
        return []
    if samples[0][0].ndim == 1:
        logits, targets = zip(*samples, strict=True)
        return [(torch.stack(logits), torch.stack(targets))]
    return [(logits[None], target[None]) for logits, target in samples]
