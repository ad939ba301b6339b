"""Differences between methods, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cals_mm.benchmark.execution import Campaign
from cals_mm.benchmark.plan import SHIFT, Column
from cals_mm.config import SCALED
from cals_mm.methods import REFERENCE

from .bootstrap import POSITION, Interval, difference_interval
from .resampled import resampled_figures
from .results import BEST_OTHER, SCALED_REFERENCE, Row, merit

__all__ = ["comparisons", "resampled"]


def comparisons(
    campaign: Campaign, row: Row, rows: Sequence[Row]
) -> dict[str, dict[str, Interval]]:
    """Compare a method with the reference, before and after temperature, and with the best other.

    A comparison covers the seeds that both were tested with. In columns where 0 is the best value,
    the distances to 0 are compared.

    Args:
        campaign: A campaign after its run.
        row: The method.
        rows: All methods.

    Returns:
        Differences by what they are to, and by key of the column. A method is not compared with
        itself, and a column is left out where a figure is missing.
    """
    found: dict[str, dict[str, Interval]] = {}
    reference = next((other for other in rows if other.method == REFERENCE), None)
    for column in campaign.columns:
        if column.better is None:
            continue
        pairs = {REFERENCE: (reference, column.key)}
        if (scaled := _after_temperature(column.key, campaign.task.main.key)) is not None:
            pairs[SCALED_REFERENCE] = (reference, scaled)
        others = [other for other in rows if other is not row and _is_known(other, column.key)]
        if others:
            best = max(others, key=partial(merit, column=column))
            pairs[BEST_OTHER] = (best, column.key)
        for name, (other, key) in pairs.items():
            if other is None or (other is row and key == column.key):
                continue
            interval = _compare(campaign, column, row, other, key)
            if interval is not None:
                found.setdefault(name, {})[column.key] = interval
    return found


def resampled(campaign: Campaign, row: Row, seed: int, under_shift: bool) -> Tensor | None:
    """All figures of a run on resampled test splits, see :func:`resampled_figures`."""
    run = campaign.a_run(row.method, campaign.choices[row.method].setting, seed)
    temperature = row.figures[seed].get(f"{SCALED}/temperature", 1.0)
    if under_shift:
        shifted = campaign.shift_test(run)
        return resampled_figures(shifted.folder, tuple(shifted.kept()), temperature)
    clean = campaign.test_of(run)
    return resampled_figures(clean.folder, (clean.kept(),), temperature)


def _after_temperature(key: str, main: str) -> str | None:
    """Key of a figure as it is after temperature; None if it is not measured after temperature."""
    name = key.removeprefix(f"{SHIFT}/")
    if name.startswith("calibration/"):
        return key.replace("calibration/", f"{SCALED}/", 1)
    # The main figure is one of predictions, which a temperature does not change.
    return key if name == main or name.startswith(f"{SCALED}/") else None


def _is_known(row: Row, key: str) -> bool:
    return row.mean.get(key) is not None


def _compare(campaign: Campaign, column: Column, row: Row, other: Row, key: str) -> Interval | None:
    """Difference between a method's column and the figure ``key`` of another."""
    seeds = sorted(set(row.figures) & set(other.figures))
    figures = [
        [part.figures[seed].get(name) for seed in seeds]
        for part, name in ((row, column.key), (other, key))
    ]
    if not seeds or any(value is None for part in figures for value in part):
        return None
    draws = [
        _draws(campaign, part, seeds, name) for part, name in ((row, column.key), (other, key))
    ]
    ours, theirs = (None if part is None else _aimed(column, part) for part in draws)
    resampled = None if ours is None or theirs is None else (ours, theirs)
    samples = "test samples" if campaign.task.single_labels else "test images"
    here, there = (_aimed(column, part) for part in figures)
    return difference_interval(here, there, resampled, name=other.method, samples=samples)


def _aimed(column: Column, figures: Any) -> np.ndarray:
    values = np.asarray(figures, float)
    return np.abs(values) if column.better == "zero" else values


def _draws(campaign: Campaign, row: Row, seeds: Sequence[int], key: str) -> Tensor | None:
    """One figure of a method on resampled test splits, (draws, seeds); None if it is not known.

    Figures under shift are means over the corruptions, of the same samples of each.
    """
    under_shift, key = key.startswith(f"{SHIFT}/"), key.removeprefix(f"{SHIFT}/")
    if key not in POSITION:
        return None
    drawn = []
    for seed in seeds:
        figures = resampled(campaign, row, seed, under_shift)
        if figures is None or POSITION[key] >= figures.shape[1]:
            return None
        drawn.append(figures[:, POSITION[key]])
    return torch.stack(drawn, 1)
