"""Collect the results of a campaign's runs."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata

import numpy
import torch

from cals_mm import __version__
from cals_mm.benchmark.execution import Campaign, shown

from .differences import comparisons, resampled
from .results import Results, Row

__all__ = ["collect", "versions"]

_STACK = ("onedl-mmengine", "onedl-mmsegmentation", "onedl-mmpretrain", "mmengine")


def collect(campaign: Campaign) -> Results:
    """Collect figures, choices and commands of all finished runs, in the order of the methods.

    Args:
        campaign: A campaign after its :meth:`~Campaign.run`.
    """
    rows = [_row(campaign, method) for method in campaign.methods if campaign.tested.get(method)]
    # Of runs that are compared with none yet too: what they are made from may be deleted.
    for row in rows:
        for seed in row.seeds:
            for under_shift in (False, True) if campaign.shift else (False,):
                resampled(campaign, row, seed, under_shift)
    rows = [replace(row, comparisons=comparisons(campaign, row, rows)) for row in rows]
    return Results(
        task=campaign.task,
        checkpoint=campaign.checkpoint,
        seeds=tuple(campaign.seeds),
        tries=campaign.tries,
        epochs=campaign.budget.epochs,
        amp=campaign.budget.amp,
        shift=tuple(campaign.shift),
        rows=rows,
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
    commands = (first.train_command(), campaign.test_of(first).command())
    shown_commands = [shown(command, campaign.budget.root) for command in commands]
    return Row(method, setting.name, figures, commands=shown_commands)
