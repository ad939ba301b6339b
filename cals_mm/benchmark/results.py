"""All figures of a campaign as one dictionary, which tables and report are made of."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy
import torch

from cals_mm import __version__

from .campaign import Campaign
from .differences import differences
from .runs import shown
from .settings import CRITERION
from .tasks import REFERENCE

__all__ = ["collect", "versions"]

_STACK = ("onedl-mmengine", "onedl-mmsegmentation", "onedl-mmpretrain", "mmengine")


def collect(campaign: Campaign) -> dict[str, Any]:
    """Figures, choices and commands of all that was done.

    Args:
        campaign: After its :meth:`~Campaign.run`.

    Returns:
        Plain values, ready for JSON. ``rows`` has one entry for each method with a tested run, in
        the order of the methods.
    """
    task, budget = campaign.task, campaign.budget
    rows = [_row(campaign, method) for method in campaign.methods if campaign.tested.get(method)]
    return {
        "task": task.name,
        "title": task.title,
        "checkpoint": campaign.kind,
        "main": task.main.key,
        "seeds": list(campaign.seeds),
        "tries": campaign.tries,
        "epochs": budget.epochs,
        "amp": budget.amp,
        "criterion": CRITERION,
        "columns": [vars(column) for column in task.columns],
        "reference": REFERENCE,
        "rows": rows,
        "choices": [_choice(campaign, method) for method in campaign.choices],
        "failures": dict(campaign.failures),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions that figures may depend on."""
    found = {"cals_mm": __version__, "torch": torch.__version__, "numpy": numpy.__version__}
    for name in _STACK:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _row(campaign: Campaign, method: str) -> dict[str, Any]:
    figures = campaign.tested[method]
    setting = campaign.choices[method].setting
    first = campaign.a_run(method, setting, min(figures))
    root = campaign.budget.root
    return {
        "method": method,
        "setting": setting.name,
        "seeds": list(figures),
        "figures": {str(seed): metrics for seed, metrics in figures.items()},
        "mean": _each_column(campaign, figures, statistics.fmean),
        "std": _each_column(campaign, figures, _deviation),
        "differences": differences(campaign, method),
        "commands": [
            shown(first.train_command(), root),
            shown(first.test_command(campaign.kind), root),
        ],
    }


def _each_column(
    campaign: Campaign, figures: Mapping[int, Mapping[str, float]], function: Any
) -> dict[str, float | None]:
    result = {}
    for column in campaign.task.columns:
        values = [metrics.get(column.key) for metrics in figures.values()]
        known = [value for value in values if value is not None]
        result[column.key] = function(known) if len(known) == len(values) else None
    return result


def _deviation(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _choice(campaign: Campaign, method: str) -> dict[str, Any]:
    choice = campaign.choices[method]
    keys = (campaign.task.main.key, "calibration/ECE", CRITERION)
    return {
        "method": method,
        "chosen": choice.setting.name,
        "tried": [
            {"setting": setting.name, **{key: figures.get(key) for key in keys}}
            for setting, figures in choice.held_out.items()
        ],
    }
