"""Calibration errors of a model over a validation or test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_dist_info, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS
from torch import Tensor

from cals_mm.frameworks import is_repeated, logits_and_target
from cals_mm.functional import (
    CALIBRATION_VALUES,
    CalibrationStatistics,
    calibration_statistics,
    calibration_values,
)

from ._report import draw, sample_name, save, warn
from .class_table import class_table

__all__ = ["CalibrationMetric"]

_NAMED = 5
"""Samples with NaN or infinite logits that are named in the log, per evaluation and process."""


@METRICS.register_module()
class CalibrationMetric(BaseMetric):
    """Calibration errors, likelihood and Brier score from one pass over the logits.

    Works for segmentation, where every valid pixel is a sample, and for classification. Only
    sums are kept, O(num_classes x num_bins), whatever the size of the data set; several
    processes add theirs up, and each sample counts once, also where a sampler repeats some to
    give every process as many.

    Values: ``ECE``, adaptive ``aECE``, classwise ``cwECE``, ``MCE``, ``gap`` (mean confidence
    minus accuracy: > 0 is over-confident), ``accuracy`` and ``confidence`` in percent; ``NLL`` in
    nats and ``Brier`` raw. ``nonfinite``, the number of samples that were left out because of NaN
    or infinite logits, is there only where it is not 0. Where no sample is valid, a warning and
    NaN for all. For the best checkpoint by a calibration error, set
    ``save_best='calibration/ECE', rule='less'``.

    Args:
        num_bins: Number of equal-width bins (a, b] of the confidence.
        ignore_index: Label that counts for nothing. 'auto': 255 for maps of labels, the convention
            of mmsegmentation, and -100 for single labels. None: every sample counts.
        aggregate: 'dataset' pools all samples. 'image' is the mean of each image's values over the
            images with a valid pixel, as in the authors' code; table and pictures stay pooled.
        probabilities: The data samples hold probabilities in place of logits.
        class_table: Write a table of all classes to the log.
        draw: Draw a reliability diagram through the current Visualizer.
        out_file: File for the sums, which ``torch.load`` and
            ``CalibrationStatistics.from_dict`` read, for instance to draw several models side by
            side. Written anew after every evaluation.
        collect_device: As of MMEngine's metrics; without effect, because only sums are reduced.
        prefix: Prefix of the names of the values.

    Raises:
        ValueError: For a bad argument; while processing, for data samples without logits or
            labels, labels out of range, or classes that disagree with the logits' channels.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 4.
    """

    default_prefix = "calibration"

    def __init__(
        self,
        num_bins: int = 15,
        ignore_index: int | str | None = "auto",
        aggregate: str = "dataset",
        probabilities: bool = False,
        class_table: bool = True,
        draw: bool = True,
        out_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if num_bins < 1:
            raise ValueError(f"num_bins must be at least 1, got {num_bins}")
        if isinstance(ignore_index, str) and ignore_index != "auto":
            raise ValueError(f"ignore_index must be a label, None or 'auto', got {ignore_index!r}")
        if aggregate not in ("dataset", "image"):
            raise ValueError(f"aggregate must be 'dataset' or 'image', got {aggregate!r}")
        self.num_bins = num_bins
        self.ignore_index = ignore_index
        self.aggregate = aggregate
        self.probabilities = probabilities
        self.class_table = class_table
        self.draw = draw
        self.out_file = out_file
        self.statistics: CalibrationStatistics | None = None
        """Sums of the last evaluation over all processes."""
        self._reset()

    def _reset(self) -> None:
        self._sums: CalibrationStatistics | None = None
        self._image_values = torch.zeros(len(CALIBRATION_VALUES), dtype=torch.float64)
        self._num_images = 0
        self._last: CalibrationStatistics | None = None
        self._seen = 0
        self._nonfinite = 0

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add a batch of predictions.

        Args:
            data_batch: Unused.
            data_samples: Data samples with logits and labels, as dictionaries.
        """
        pairs = [logits_and_target(sample) for sample in data_samples]
        if not pairs:
            return
        self._check(pairs[0][0])
        # A sampler may have repeated a sample at the very end, which only the size of the data
        # set will tell: the last sample waits.
        wait = get_dist_info()[1] > 1
        first = 0
        if pairs[0][0].ndim == 1 and len(pairs) > 1:
            first = len(pairs) - 1 if wait else len(pairs)
            logits, target = (torch.stack(part) for part in zip(*pairs[:first], strict=True))
            self._release()
            self._add(self._measure(logits, target, data_samples[:first]))
        for (logits, target), sample in zip(pairs[first:], data_samples[first:], strict=True):
            self._release()
            self._last = self._measure(logits.unsqueeze(0), target.unsqueeze(0), [sample])
        if not wait:
            self._release()
        self._seen += len(pairs)

    def _check(self, logits: Tensor) -> None:
        num_classes = logits.shape[0]
        names = self._class_names()
        if names is not None and len(names) != num_classes:
            raise ValueError(
                f"the data set has {len(names)} classes but the logits {num_classes} channels; "
                "set num_classes (and out_channels) of the head to the data set's"
            )
        if self._sums is not None and self._sums.num_classes != num_classes:
            raise ValueError(
                f"logits have {num_classes} channels, those before {self._sums.num_classes}; "
                "one metric measures one model"
            )
        if self.aggregate == "image" and logits.ndim == 1:
            raise ValueError(
                "aggregate='image' is the mean over label maps, but there is one label per image; "
                "use aggregate='dataset'"
            )

    def _measure(
        self, logits: Tensor, target: Tensor, samples: Sequence[Any]
    ) -> CalibrationStatistics:
        ignore_index = self.ignore_index
        if isinstance(ignore_index, str):
            ignore_index = -100 if logits.ndim == 2 else 255
        statistics = calibration_statistics(
            logits,
            target,
            num_bins=self.num_bins,
            ignore_index=ignore_index,
            probabilities=self.probabilities,
        )
        nonfinite = int(statistics.nonfinite)
        if nonfinite:
            self._nonfinite += 1
            if self._nonfinite <= _NAMED:
                where = sample_name(samples[0])
                if len(samples) > 1:
                    where = f"the {len(samples)} samples from {where}"
                warn(f"NaN or infinite logits for {nonfinite} labels of {where}, left out")
        return statistics

    def _release(self) -> None:
        """Count the sample that waited."""
        if self._last is not None:
            last, self._last = self._last, None
            self._add(last)

    def _add(self, statistics: CalibrationStatistics) -> None:
        if self.aggregate == "image" and statistics.count:
            self._image_values += calibration_values(statistics).cpu()
            self._num_images += 1
        if self._sums is None:
            self._sums = statistics
        else:
            self._sums.merge_(statistics)

    def evaluate(self, size: int) -> dict:
        """Metrics over the samples of all processes; starts afresh afterwards.

        Args:
            size: Length of the data set.

        Returns:
            The values by name, with the prefix; the same on every process.
        """
        if not is_repeated(self._seen - 1, size):
            self._release()
        statistics, image_values, num_images = self._reduce()
        self._reset()
        self.statistics = statistics
        metrics = self._values(statistics, image_values, num_images)
        if is_main_process():
            self._report(statistics)
        return {f"{self.prefix}/{name}": value for name, value in metrics.items()}

    def compute_metrics(self, results: list) -> dict:
        """Unused: :meth:`evaluate` reduces sums, there is no list of results."""
        raise NotImplementedError("CalibrationMetric keeps sums, not results; call evaluate()")

    def _reduce(self) -> tuple[CalibrationStatistics, Tensor, int]:
        # A process without samples does not know the number of classes.
        known = torch.tensor(0 if self._sums is None else self._sums.num_classes)
        all_reduce(known, op="max")
        num_classes = int(known)
        statistics = CalibrationStatistics.zeros(num_classes, self.num_bins)
        if self._sums is not None:
            statistics.merge_(self._sums)
        counts, sums = statistics.pack()
        counts = torch.cat([counts, torch.tensor([self._num_images])])
        sums = torch.cat([sums, self._image_values])
        all_reduce(counts)
        all_reduce(sums)
        statistics.unpack_(counts[:-1], sums[: -len(CALIBRATION_VALUES)])
        return statistics, sums[-len(CALIBRATION_VALUES) :], int(counts[-1])

    def _values(
        self, statistics: CalibrationStatistics, image_values: Tensor, num_images: int
    ) -> dict[str, float]:
        if not statistics.count:
            warn("CalibrationMetric has seen no valid sample: its values are NaN")
            result = torch.full((len(CALIBRATION_VALUES),), float("nan"), dtype=torch.float64)
        elif self.aggregate == "image":
            result = image_values / num_images
        else:
            result = calibration_values(statistics)
        metrics = dict(zip(CALIBRATION_VALUES, result.tolist(), strict=True))
        nonfinite = int(statistics.nonfinite)
        if nonfinite:
            warn(f"{nonfinite} samples with NaN or infinite logits are left out of calibration")
            metrics["nonfinite"] = float(nonfinite)
        return metrics

    def _report(self, statistics: CalibrationStatistics) -> None:
        if self.out_file is not None:
            save(statistics, self.out_file)
        if not statistics.count:
            return
        if self.class_table:
            table = class_table(statistics, self._class_names())
            print_log(f"calibration per class (percent):\n{table}", logger="current")
        if self.draw:
            draw(statistics, str(self.prefix))

    def _class_names(self) -> list[str] | None:
        names = (self.dataset_meta or {}).get("classes")
        return None if names is None else [str(name) for name in names]
