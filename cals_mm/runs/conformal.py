"""Fit conformal prediction of a trained model, and measure it on the test split."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

import torch

from cals_mm.frameworks import ignored_label
from cals_mm.posthoc.conformal import (
    AcceptedErrors,
    PredictionSets,
    RiskThreshold,
    Score,
    control_risk,
    coverage_range,
)

from .held_out import held_out_logits, held_out_predictions
from .split import split_predictions

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ["fit_sets", "fit_threshold", "sets_reached", "threshold_reached"]


def fit_sets(
    runner: Runner,
    coverage: float,
    score: Score = "lac",
    per_class: bool = False,
    part: Container[int] | None = None,
) -> PredictionSets:
    """Fit the prediction sets of a classifier to the validation split.

    Args:
        runner: Runner made by :func:`~cals_mm.runs.held_out_runner`.
        coverage: As of :class:`~cals_mm.posthoc.PredictionSets`, like the next two.
        score: Which score.
        per_class: One threshold a class.
        part: Numbers of the validation samples that are taken; None: all.
    """
    sets = PredictionSets(coverage, score, per_class=per_class)
    return sets.fit(*held_out_logits(runner, pixels=1, part=part))


def sets_reached(runner: Runner, sets: PredictionSets) -> dict[str, Any]:
    """Coverage of the sets on the test split, where to expect it, and the mean size of a set.

    Raises:
        ValueError: If the test split is empty.
    """
    covered, sizes, labels = [], [], []
    for logits, target, *_ in split_predictions(runner.model, runner.test_dataloader, "test split"):
        found = sets(logits[None])[0]
        covered.append(bool(found[target]))
        sizes.append(int(found.sum()))
        labels.append(int(target))
    counts = torch.tensor(len(labels))
    if sets.per_class:
        counts = torch.bincount(torch.tensor(labels), minlength=len(sets.threshold))
    low, high = coverage_range(sets, counts)
    return {
        "coverage": sum(covered) / len(covered),
        "range_low": low,
        "range_high": high,
        "mean_size": sum(sizes) / len(sizes),
        "empty": sizes.count(0) / len(sizes),
        "samples": len(labels),
    }


def fit_threshold(runner: Runner, risk: float, part: Container[int] | None = None) -> RiskThreshold:
    """Confidence threshold of a segmentor, fitted to the images of the validation split.

    Args:
        runner: Runner made by :func:`~cals_mm.runs.held_out_runner`.
        risk: As of :func:`~cals_mm.posthoc.control_risk`.
        part: Numbers of the validation images that are taken; None: all.
    """
    errors = AcceptedErrors(ignored_label(runner.model))
    for logits, target, *_ in held_out_predictions(runner, part):
        errors.update(logits[None], target[None])
    return control_risk(errors, risk)


def threshold_reached(runner: Runner, threshold: RiskThreshold) -> dict[str, float]:
    """What the threshold does on the test split, by :meth:`RiskThreshold.reached`."""
    errors = AcceptedErrors(ignored_label(runner.model))
    for logits, target, *_ in split_predictions(runner.model, runner.test_dataloader, "test split"):
        errors.update(logits[None], target[None])
    return threshold.reached(errors)
