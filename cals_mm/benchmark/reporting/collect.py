"""Collect the results of a campaign's runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from importlib import metadata

import numpy
import torch

from cals_mm import __version__
from cals_mm.benchmark.execution import Campaign, shown

from .differences import differences
from .results import Results, Row

__all__ = ["collect", "versions"]

_STACK = ("onedl-mmengine", "onedl-mmsegmentation", "onedl-mmpretrain", "mmengine")


def collect(campaign: Campaign) -> Results:
    """Collect figures, choices and commands of all finished runs, in the order of the methods.

    Args:
        campaign: A campaign after its :meth:`~Campaign.run`.
    """
    return Results(
        task=campaign.task,
        checkpoint=campaign.checkpoint,
        seeds=tuple(campaign.seeds),
        tries=campaign.tries,
        epochs=campaign.budget.epochs,
        amp=campaign.budget.amp,
        rows=[_row(campaign, method) for method in campaign.methods if campaign.tested.get(method)],
        choices=dict(campaign.choices),
        failures=dict(campaign.failures),
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Versions of packages that may affect the figures."""
    found = {"cals_mm": __version__, "torch": torch.__version__, "numpy": numpy.__version__}
    for name in _STACK:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _row(campaign: Campaign, method: str) -> Row:
    figures = campaign.tested[method]
    setting = campaign.choices[method].setting
    first = campaign.a_run(method, setting, min(figures))
    commands = (first.train_command(), first.test_command(campaign.checkpoint))
    return Row(
        method=method,
        setting=setting.name,
        figures=figures,
        mean=_each_column(campaign, figures, statistics.fmean),
        std=_each_column(campaign, figures, _deviation),
        differences=differences(campaign, method),
        commands=[shown(command, campaign.budget.root) for command in commands],
    )


def _each_column(
    campaign: Campaign,
    figures: Mapping[int, Mapping[str, float]],
    function: Callable[[list[float]], float | None],
) -> dict[str, float | None]:
    result = {}
    for column in campaign.task.columns:
        values = [metrics.get(column.key) for metrics in figures.values()]
        known = [value for value in values if value is not None]
        result[column.key] = function(known) if len(known) == len(values) else None
    return result


def _deviation(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
