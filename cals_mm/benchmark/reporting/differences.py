"""Differences between each method and the reference, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cals_mm import files
from cals_mm.benchmark.execution import Campaign
from cals_mm.benchmark.plan import Column
from cals_mm.functional import CALIBRATION_VALUES
from cals_mm.methods import REFERENCE

from .bootstrap import DRAWS, POSITION, Interval, difference_interval, resampled_values

__all__ = ["differences"]


def differences(campaign: Campaign, method: str) -> dict[str, Interval]:
    """Compute the difference between a method and the reference in every column.

    It covers the seeds that both were tested with, and is empty if there are none or for the
    reference itself. In columns where 0 is the best value, the distances to 0 are compared.

    Returns:
        The difference with its interval, by the key of the column.
    """
    mine, theirs = campaign.tested[method], campaign.tested.get(REFERENCE, {})
    seeds = sorted(set(mine) & set(theirs))
    if method == REFERENCE or not seeds:
        return {}
    ours = _resampled(campaign, method, seeds)
    reference = _resampled(campaign, REFERENCE, seeds)
    result = {}
    for column in campaign.task.columns:
        figures = [[part[seed].get(column.key) for seed in seeds] for part in (mine, theirs)]
        if any(value is None for part in figures for value in part):
            continue
        draws = None
        if column.key in POSITION and ours is not None and reference is not None:
            position = POSITION[column.key]
            draws = _aimed(column, ours[..., position]), _aimed(column, reference[..., position])
        here, there = (_aimed(column, part) for part in figures)
        result[column.key] = difference_interval(here, there, draws)
    return result


def _aimed(column: Column, figures: Any) -> np.ndarray:
    values = np.asarray(figures, float)
    return np.abs(values) if column.better == "zero" else values


def _resampled(campaign: Campaign, method: str, seeds: Sequence[int]) -> Tensor | None:
    """Figures (draws, seeds, values) of a method; None if single predictions were not kept."""
    setting = campaign.choices[method].setting
    runs = [campaign.a_run(method, setting, seed) for seed in seeds]
    files = [run.test_folder(campaign.checkpoint) / "predictions.pt" for run in runs]
    if not all(file.is_file() for file in files):
        return None
    return torch.stack([_cached(file) for file in files], 1)


def _cached(file: Path) -> Tensor:
    """Resampled figures of one run, computed once and cached in a file."""
    cache = file.with_name("resampled.pt")
    if cache.is_file() and cache.stat().st_mtime_ns >= file.stat().st_mtime_ns:
        kept: Tensor = torch.load(cache)
        if kept.shape == (DRAWS, len(CALIBRATION_VALUES)):
            return kept
    predictions: Mapping[str, Tensor] = torch.load(file)
    figures = resampled_values(predictions["logits"], predictions["target"], DRAWS)
    with files.writing(cache) as stream:
        torch.save(figures, stream)
    return figures
