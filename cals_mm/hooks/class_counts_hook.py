"""Tell metrics how many training images each class has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, HOOKS
from mmengine.runner import BaseLoop, Runner

from cals_mm.frameworks.labels import labels_of
from cals_mm.frameworks.selections import metainfo_of

__all__ = ["ClassCountsHook", "count_classes"]


@HOOKS.register_module(force=True)  # in place of the lazy entry
class ClassCountsHook(Hook):
    """Count the labels of the run's training set for metrics that ask for ``class_counts``.

    Only labels are read, not images, and only once per run. Counts given in the config are kept.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._counts: np.ndarray | None = None

    def before_val(self, runner: Runner) -> None:
        """Count classes for the validation metrics."""
        self._tell(runner, runner.val_loop.evaluator.metrics)

    def before_test(self, runner: Runner) -> None:
        """Count classes for the test metrics."""
        self._tell(runner, runner.test_loop.evaluator.metrics)

    def _tell(self, runner: Runner, metrics: Any) -> None:
        for metric in metrics:
            if getattr(metric, "class_counts", 0) is None:
                if self._counts is None:
                    self._counts = count_training_classes(runner)
                metric.class_counts = self._counts


def count_training_classes(runner: Runner) -> np.ndarray:
    """Count the training samples of each class of a run, (K,) int64, from labels alone.

    Raises:
        ValueError: If the config has no training set, or the data set does not provide classes and
            labels.
    """
    return count_classes(_training_set(runner))


def count_classes(dataset: Any) -> np.ndarray:
    """Count the samples of each class of a classification data set, (K,) int64.

    Raises:
        ValueError: If the data set does not provide classes and labels.
    """
    try:
        labels = labels_of(dataset)
        return np.bincount(labels, minlength=len(metainfo_of(dataset)["classes"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{type(dataset).__name__} does not say its classes and labels ({error}), which the "
            "counts of training images need: give LongTailMetric(class_counts=[...])"
        ) from error


def _training_set(runner: Runner) -> Any:
    if isinstance(runner._train_loop, BaseLoop):
        return runner.train_dataloader.dataset
    loader = runner._train_dataloader
    if loader is None:
        raise ValueError(
            "the config has no train_dataloader to count classes in: give "
            "LongTailMetric(class_counts=[...])"
        )
    dataset = loader["dataset"] if isinstance(loader, Mapping) else loader.dataset
    return DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
