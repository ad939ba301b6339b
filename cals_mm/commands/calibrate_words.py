"""Output of the ``calibrate`` command."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cals_mm.posthoc.conformal import PredictionSets, RiskThreshold

__all__ = ["conformal_summary", "scaling_summary", "table"]


def scaling_summary(notes: Mapping[str, Any], samples: str) -> str:
    """Summarise a scaling in one line.

    Args:
        notes: Notes of a :class:`~cals_mm.runs.Scaling`.
        samples: Word for the samples.
    """
    weight = notes["weight"]
    if notes["method"] == "temperature":
        found = f"temperature {notes['temperature']:.4f}"
    else:
        found = f"{notes['method']} scaling, weights from {min(weight):.3f} to {max(weight):.3f}"
    if weight == 1.0:
        found += " (no temperature has a better likelihood)"
    elif notes["method"] == "temperature" and not 0.011 < weight < 99:
        found += " (the end of its range: all right, or no better than chance)"
    return (
        f"{found}, from {notes['samples']} held-out {samples}: NLL {notes['nll_before']:.4f} -> "
        f"{notes['nll_after']:.4f}"
    )


def conformal_summary(
    bound: PredictionSets | RiskThreshold, reached: Mapping[str, float] | None = None
) -> str:
    """Summarise what was fitted, or with ``reached`` the result on the test split."""
    if isinstance(bound, PredictionSets):
        return _fitted_sets(bound) if reached is None else _reached_by_sets(reached)
    return _fitted_threshold(bound) if reached is None else _reached_by_threshold(bound, reached)


def table(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The metrics of two checkpoints side by side; those that are no numbers are left out."""
    before = {name: value for name, value in before.items() if isinstance(value, (int, float))}
    width = max(len(name) for name in before)
    lines = [f"{'test split':<{width}}  {'before':>10}  {'after':>10}"]
    lines.append("-" * len(lines[0]))
    for name, value in before.items():
        lines.append(f"{name:<{width}}  {value:10.4f}  {after[name]:10.4f}")
    return "\n".join(lines)


def _fitted_sets(sets: PredictionSets) -> str:
    if sets.per_class:
        low, high = float(sets.threshold.min()), float(sets.threshold.max())
        found = f"thresholds from {low:.4f} to {high:.4f}"
        rare = int(sets.threshold.isinf().sum())
        if rare:
            found += f" ({rare} classes with too few held-out samples are in every set)"
    else:
        found = f"threshold {float(sets.threshold):.4f}"
        if sets.threshold.isinf():
            found += " (too few held-out samples: every set holds all classes)"
    return (
        f"sets of coverage {sets.coverage:g}, {sets.score}: {found}, from "
        f"{int(sets.counts.sum())} held-out samples"
    )


def _reached_by_sets(reached: Mapping[str, float]) -> str:
    return (
        f"test split: coverage {reached['coverage']:.4f}, expected {reached['range_low']:.4f} to "
        f"{reached['range_high']:.4f} (95 %); {reached['mean_size']:.2f} classes a set, "
        f"{100 * reached['empty']:.1f} % of the sets empty"
    )


def _fitted_threshold(threshold: RiskThreshold) -> str:
    risk = f"{100 * threshold.risk:g} %"
    if math.isinf(threshold.threshold):
        least = math.ceil(round(1 / threshold.risk - 1, 9))
        reason = (
            f"at least {least} held-out images are needed, there are {threshold.images}"
            if threshold.images < least
            else f"confident pixels are wrong too often in the {threshold.images} held-out images"
        )
        return f"no threshold keeps the error under {risk}, so no pixel is accepted: {reason}"
    return (
        f"confidence threshold {threshold.threshold:.6f} for an expected error of at most {risk} "
        f"of an image's accepted pixels, from {threshold.images} held-out images"
    )


def _reached_by_threshold(threshold: RiskThreshold, reached: Mapping[str, float]) -> str:
    return (
        f"test split: error {100 * reached['error']:.2f} %, mean over images, expected up to "
        f"{100 * threshold.risk:g} %, by chance up to {100 * reached['range_high']:.2f} % (95 %); "
        f"{100 * reached['accepted']:.1f} % of the pixels accepted, error "
        f"{100 * reached['pooled_error']:.2f} % of them all"
    )
