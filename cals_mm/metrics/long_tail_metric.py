"""Accuracy and calibration of frequent and rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from torch import Tensor

from cals_mm.core import CalibrationMeter
from cals_mm.functional import class_calibration

from .calibration_metric import CalibrationMetric

__all__ = ["LongTailMetric"]

GROUPS = ("many", "medium", "few")
SHOWN = ("accuracy", "ECE", "gap", "NLL")
"""Values of :class:`CalibrationMetric` reported for each group."""


@METRICS.register_module()
class LongTailMetric(BaseMetric):
    """Accuracy and calibration of classes with many, a medium number of and few training images.

    The values of a group are those of :class:`CalibrationMetric` over the samples whose label is in
    the group: ``many_accuracy``, ``many_ECE``, ``many_gap`` (percent) and ``many_NLL`` (nats), and
    the same for ``medium`` and ``few``; groups without classes are left out.
    ``class_mean_accuracy`` is the mean accuracy of the classes, in percent.

    Args:
        class_counts: Training images of each class, K numbers. None means that ``ClassCountsHook``
            counts them in the training set of the run.
        many_above: Classes with more training images than this belong to ``many``.
        few_below: Classes with fewer training images than this belong to ``few``.
        num_bins: Number of equal-width bins of the confidence.
        collect_device: Accepted like in MMEngine's metrics, but without effect, since only sums are
            reduced.
        prefix: Prefix of the names of the values.

    Raises:
        ValueError: For an invalid argument; while processing, if the counts are not known or their
            number differs from that of the classes.

    Reference:
        Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019, where more
        than 100 images are many and fewer than 20 are few.
    """

    default_prefix = "long_tail"

    def __init__(
        self,
        class_counts: Sequence[int] | None = None,
        many_above: int = 100,
        few_below: int = 20,
        num_bins: int = 15,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not 0 <= few_below <= many_above + 1:
            raise ValueError(
                f"few_below={few_below} and many_above={many_above} overlap: a class would have "
                "both few images and many; choose few_below <= many_above"
            )
        self.many_above = many_above
        self.few_below = few_below
        self.num_bins = num_bins
        self.class_counts = class_counts
        self._parts: dict[str, _GroupMetric] = {}

    @property
    def class_counts(self) -> Tensor | None:
        """Training images of each class, (K,) int64, or None if not known yet."""
        return self._class_counts

    @class_counts.setter
    def class_counts(self, counts: Sequence[int] | Tensor | None) -> None:
        self._class_counts = None if counts is None else torch.as_tensor(counts, dtype=torch.int64)

    def groups(self) -> dict[str, Tensor]:
        """Mask of the classes in each group, (K,) bool; groups without classes are left out."""
        counts = self.class_counts
        if counts is None:
            raise ValueError(
                "LongTailMetric does not know how many training images each class has: give "
                "class_counts=[...], or add dict(type='ClassCountsHook') to custom_hooks"
            )
        many, few = counts > self.many_above, counts < self.few_below
        members = dict(zip(GROUPS, (many, ~(many | few), few), strict=True))
        return {name: member for name, member in members.items() if member.any()}

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Add a batch of predictions.

        Args:
            data_batch: Unused.
            data_samples: Data samples with logits and labels, as dictionaries.
        """
        for part in self._measures().values():
            part.process(data_batch, data_samples)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Compute the values over the samples of all processes, and reset the metric.

        Args:
            size: Length of the data set.

        Returns:
            The values by name, with the prefix; the same on every process.
        """
        parts, self._parts = self._measures(), {}
        metrics: dict[str, float] = {}
        for name, part in parts.items():
            values = part.evaluate(size)
            metrics.update({f"{name}_{key}": values[f"{part.prefix}/{key}"] for key in SHOWN})
        first, *others = (part.statistics for part in parts.values())
        total = sum(others, start=first)
        accuracies = class_calibration(total).accuracy
        metrics["class_mean_accuracy"] = 100 * float(accuracies.nanmean())
        return {f"{self.prefix}/{key}": value for key, value in metrics.items()}

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Unused: :meth:`evaluate` reduces sums, there is no list of results."""
        raise NotImplementedError("LongTailMetric keeps sums, not results; call evaluate()")

    def _measures(self) -> dict[str, _GroupMetric]:
        if not self._parts:
            for name, member in self.groups().items():
                self._parts[name] = _GroupMetric(member, self.num_bins)
                self._parts[name].dataset_meta = self.dataset_meta
        return self._parts


class _GroupMetric(CalibrationMetric):
    """Calibration over the samples of some classes."""

    def __init__(self, member: Tensor, num_bins: int) -> None:
        super().__init__(num_bins, class_table=False, draw=False)
        self.member = member

    def _check(self, logits: Tensor) -> None:
        super()._check(logits)
        if len(self.member) != logits.shape[0]:
            raise ValueError(
                f"class_counts has {len(self.member)} numbers, but the logits {logits.shape[0]} "
                "channels; give the training images of each class"
            )

    def _measure(self, logits: Tensor, target: Tensor, samples: Sequence[Any]) -> CalibrationMeter:
        ignored = -100 if logits.ndim == 2 else 255
        # The base class rejects labels that are not classes.
        known = (target >= 0) & (target < len(self.member))
        inside = self.member.to(target.device)[target.clamp(0, len(self.member) - 1)]
        return super()._measure(logits, target.masked_fill(known & ~inside, ignored), samples)
