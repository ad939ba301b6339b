"""Calibration errors of a model over a validation or test set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from torch import Tensor

from cals_mm.core import CalibrationMeter, SharedPass
from cals_mm.core.calibration_meter import Aggregate
from cals_mm.frameworks import logits_and_target
from cals_mm.frameworks.reporting import never_fatal, warn
from cals_mm.frameworks.sampling import last_is_repeated
from cals_mm.functional import CalibrationStatistics
from cals_mm.functional._probabilities import LogitsCheck
from cals_mm.visualization.names import printable

from ._report import check_out_file, draw, key_of, log_classes, name_of, save

__all__ = ["CalibrationMetric"]

_NAMED = 5
"""Most samples with NaN or infinite logits named in the log, per evaluation and process."""


@METRICS.register_module()
class CalibrationMetric(BaseMetric):
    """Calibration errors, likelihood and Brier score in MMEngine's loops.

    It passes the predictions to a :class:`~cals_mm.core.CalibrationMeter` and returns its values,
    for classification and for segmentation, where every valid pixel is a sample. The sums of
    several processes are added up, and each sample is counted once even if ``DefaultSampler`` or
    ``DistributedSampler`` repeats some to give all processes equally many. If no sample is valid,
    all values are NaN and a warning is logged. To keep the checkpoint with the smallest calibration
    error, set ``save_best='calibration/ECE', rule='less'``.

    Args:
        num_bins: Number of equal-width bins (a, b] of the confidence.
        ignore_index: Label to ignore. 'auto' means 255 for label maps, as is usual in
            mmsegmentation, and -100 for single labels. None ignores no label.
        aggregate: 'dataset' pools all samples; 'image' averages the values of single images, over
            images with a valid pixel, as in the authors' code. The class table and figures are
            always pooled.
        probabilities: Whether the data samples hold probabilities instead of logits.
        temperature: Number > 0 that divides the logits before they are measured, e.g. one that was
            fitted on held-out data.
        class_table: Whether to write a table of all classes to the log.
        draw: Whether to draw a reliability diagram with the current Visualizer.
        out_file: File for the sums, rewritten after every evaluation. ``torch.load`` and
            ``CalibrationStatistics.from_dict`` read it, e.g. to draw several models side by side.
        collect_device: Accepted like in MMEngine's metrics, but without effect, since only sums are
            reduced.
        prefix: Prefix of the names of the values.

    Raises:
        ValueError: For an invalid argument; while processing, if data samples lack logits or
            labels, labels are out of range, or the number of classes differs from that of the
            logits.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 4.
    """

    default_prefix = "calibration"

    def __init__(
        self,
        num_bins: int = 15,
        ignore_index: int | Literal["auto"] | None = "auto",
        aggregate: Aggregate = "dataset",
        probabilities: bool = False,
        temperature: float = 1.0,
        class_table: bool = True,
        draw: bool = True,
        out_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if isinstance(ignore_index, str) and ignore_index != "auto":
            raise ValueError(f"ignore_index must be a label, None or 'auto', got {ignore_index!r}")
        if not 0 < temperature < math.inf or (probabilities and temperature != 1):
            raise ValueError(
                f"temperature must be a positive number, and 1 for probabilities, got {temperature}"
            )
        self.num_bins = num_bins
        self.ignore_index = ignore_index
        self.aggregate = aggregate
        self.probabilities = probabilities
        self.temperature = temperature
        self.class_table = class_table
        self.draw = draw
        self.out_file = None if out_file is None else check_out_file("CalibrationMetric", out_file)
        self.shared: SharedPass | None = None
        """Gets other sums of the same predictions; set by :class:`CALSMultiplierHook`."""
        self._start()
        self.statistics: CalibrationStatistics = self._meter.statistics
        """Sums of the last evaluation, over all processes."""

    def _start(self) -> None:
        self._meter = self._meter_for(None)
        # Only at the end of the evaluation is it known whether the last sample is a repetition.
        self._last: CalibrationMeter | None = None
        self._seen = 0
        self._ends: tuple[str, str] = ("", "")
        self._num_named = 0
        self._check_logits = LogitsCheck()

    def _meter_for(self, ignore_index: int | None) -> CalibrationMeter:
        return CalibrationMeter(
            self.num_bins,
            ignore_index,
            probabilities=self.probabilities,
            aggregate=self.aggregate,
        )

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Add a batch of predictions.

        Args:
            data_batch: Unused.
            data_samples: Data samples with logits and labels, as dictionaries.
        """
        pairs = [logits_and_target(sample, self.probabilities) for sample in data_samples]
        if not pairs:
            return
        self._check(pairs[0][0])
        # With several processes, only the last sample of each can be a repetition by the sampler.
        for part in _parts(pairs, last_apart=get_world_size() > 1):
            logits, target = _stacked(pairs[part])
            self._count_last()
            self._last = self._measure(logits, target, data_samples[part])
        first = self._ends[0] if self._seen else key_of(data_samples[0])
        self._ends = (first, key_of(data_samples[-1]))
        self._seen += len(pairs)

    def _check(self, logits: Tensor) -> None:
        num_classes = logits.shape[0]
        names = self._class_names()
        if names is not None and len(names) != num_classes:
            raise ValueError(
                f"the data set has {len(names)} classes but the logits {num_classes} channels; "
                "set num_classes (and out_channels) of the head to the data set's"
            )
        before = (self._last or self._meter).statistics.num_classes
        if before not in (0, num_classes):
            raise ValueError(
                f"logits have {num_classes} channels, those before {before}; "
                "one metric measures one model"
            )

    def _measure(self, logits: Tensor, target: Tensor, samples: Sequence[Any]) -> CalibrationMeter:
        ignore_index = self.ignore_index
        if ignore_index == "auto":
            ignore_index = -100 if logits.ndim == 2 else 255
        if not self.probabilities:
            self._check_logits.add(logits)
        meter = self._meter_for(ignore_index)
        if self.temperature != 1:  # of other logits than the multipliers'
            meter.update(logits / self.temperature, target)
        else:  # samples of a batch are stacked anew by each reader
            meter.update(logits, target, self.shared if logits.ndim > 2 else None)
        if meter.nonfinite:
            self._num_named += 1
            if self._num_named <= _NAMED:
                labels = f"{meter.nonfinite} labels of {name_of(samples)}"
                warn(f"NaN or infinite logits for {labels}, left out")
        return meter

    def _count_last(self) -> None:
        if self._last is not None:
            self._meter.merge_(self._last)
            self._last = None

    def evaluate(self, size: int) -> dict[str, Any]:
        """Compute the values over the samples of all processes, and reset the metric.

        Args:
            size: Length of the data set.

        Returns:
            The values by name, with the prefix; the same on every process.
        """
        repeated, beyond = last_is_repeated(self._seen, size, *self._ends)
        if not repeated:
            self._count_last()
        if beyond:
            warn(
                f"{self.prefix}: {size + beyond} samples seen of a data set of {size}; what the "
                "sampler repeats counts as often (DefaultSampler's repetitions are left out)"
            )
        if warning := self._check_logits.warning():
            warn(warning)
        meter = self._meter.all_reduce_()
        self._start()
        self.statistics = meter.statistics
        if not meter.count:
            warn("CalibrationMetric has seen no valid sample: its values are NaN")
        if lost := meter.nonfinite:
            warn(f"{lost} samples with NaN or infinite logits are left out of calibration")
        if is_main_process():
            self._report(meter.statistics)
        return {f"{self.prefix}/{name}": value for name, value in meter.compute().items()}

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Unused: :meth:`evaluate` reduces sums, there is no list of results."""
        raise NotImplementedError("CalibrationMetric keeps sums, not results; call evaluate()")

    def _report(self, statistics: CalibrationStatistics) -> None:
        if self.out_file is not None:
            with never_fatal(f"writing {self.out_file!r}"):
                save(statistics, self.out_file)
        if statistics.count and self.class_table:
            with never_fatal("the table of the classes"):
                log_classes(statistics, self._class_names())
        if statistics.count and self.draw:
            draw(statistics, str(self.prefix))

    def _class_names(self) -> list[str] | None:
        names = (self.dataset_meta or {}).get("classes")
        return None if names is None else [printable(str(name)) for name in names]


def _parts(pairs: Sequence[tuple[Tensor, Tensor]], last_apart: bool) -> list[slice]:
    """Slices of samples to measure together; label maps one by one, as their sizes may differ."""
    end = len(pairs) - last_apart
    single = pairs[0][0].ndim == 1
    parts = [slice(0, end)] if single else [slice(i, i + 1) for i in range(end)]
    return [part for part in (*parts, slice(end, len(pairs))) if pairs[part]]


def _stacked(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Logits and labels of some samples in one tensor each; a single one is not copied."""
    if len(pairs) == 1:
        return pairs[0][0][None], pairs[0][1][None]
    logits, target = zip(*pairs, strict=True)
    return torch.stack(logits), torch.stack(target)
