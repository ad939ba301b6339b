"""Results as small JSON files, from which the tables of the docs are rendered."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cals_mm import files
from cals_mm.benchmark.execution import Choice
from cals_mm.benchmark.plan import CRITERION, Column, Setting, Task

from .bootstrap import Interval
from .results import Results, Row

__all__ = ["STORED", "read_results", "store_results"]

STORED = "benchmarks/results"
"""Folder of the stored results, relative to the root of the project."""

_OF_THE_LOG = ("data_time", "time", "step")
_DIGITS = 6
"""Significant digits of a stored figure."""


def store_results(results: Results, file: Path) -> None:
    """Write results, one line for each run, try and comparison, so that changes can be read.

    Commands and reasons of failures are left out: they name folders of this machine.
    """
    files.write_text(file, _text(_to_dict(results)))


def read_results(file: Path) -> Results:
    """Read a file of :func:`store_results`.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = json.loads(file.read_text("utf-8"))
    return Results(
        task=_task(found["task"]),
        checkpoint=found["checkpoint"],
        seeds=tuple(found["seeds"]),
        tries=found["tries"],
        epochs=found["epochs"],
        amp=found["amp"],
        shift=tuple(found.get("shift", ())),
        rows=list(_rows(found)),
        choices=_choices(found["tried"]),
        failures=dict.fromkeys(found["missing"], "missing"),
        versions=found["versions"],
    )


def _to_dict(results: Results) -> dict[str, Any]:
    return {
        "task": {**asdict(results.task), "config": _public(results.task)},
        "checkpoint": results.checkpoint,
        "seeds": list(results.seeds),
        "tries": results.tries,
        "epochs": results.epochs,
        "amp": results.amp,
        "shift": list(results.shift),
        "criterion": CRITERION,
        "versions": dict(results.versions),
        "missing": list(results.failures),
        "runs": [
            {"method": row.method, "setting": row.setting, "seed": seed, **_sorted(figures)}
            for row in results.rows
            for seed, figures in row.figures.items()
        ],
        "tried": [
            {
                "method": method,
                "setting": setting.name,
                "chosen": setting == choice.setting,
                **_sorted(figures),
            }
            for method, choice in results.choices.items()
            for setting, figures in choice.held_out.items()
        ],
        "comparisons": [
            {"method": row.method, "to": to, "key": key, **asdict(interval)}
            for row in results.rows
            for to, intervals in row.comparisons.items()
            for key, interval in intervals.items()
        ],
    }


def _public(task: Task) -> str:
    """The config without a folder of this machine."""
    return Path(task.config).name if task.own else task.config


def _sorted(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures in the order of their names, without what else stands in a line of the log."""
    return {key: figures[key] for key in sorted(figures) if key not in _OF_THE_LOG}


def _text(values: Mapping[str, Any]) -> str:
    """JSON with one line for each entry of a list of dictionaries."""
    parts = []
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n  ".join(json.dumps(_rounded(entry)) for entry in value)
            parts.append(f"{json.dumps(key)}: [\n  {lines}\n ]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(_rounded(value))}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        # JSON has no word for what is not finite.
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def _task(found: Mapping[str, Any]) -> Task:
    columns = {"main": Column(**found["main"])}
    more = tuple(Column(**column) for column in found["more"])
    return Task(**{**found, **columns, "more": more})


def _rows(found: Mapping[str, Any]) -> Iterator[Row]:
    figures: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for run in found["runs"]:
        entry = dict(run)
        key = (entry.pop("method"), entry.pop("setting"))
        figures.setdefault(key, {})[entry.pop("seed")] = entry
    comparisons: dict[str, dict[str, dict[str, Interval]]] = {}
    for line in found["comparisons"]:
        entry = dict(line)
        method, to, key = (entry.pop(name) for name in ("method", "to", "key"))
        comparisons.setdefault(method, {}).setdefault(to, {})[key] = Interval(**entry)
    for (method, setting), by_seed in figures.items():
        yield Row(method, setting, by_seed, comparisons.get(method, {}))


def _choices(tried: list[dict[str, Any]]) -> dict[str, Choice]:
    held_out: dict[str, dict[Setting, dict[str, float]]] = {}
    chosen: dict[str, Setting] = {}
    for line in tried:
        entry = dict(line)
        method, setting = entry.pop("method"), Setting(entry.pop("setting"))
        if entry.pop("chosen"):
            chosen[method] = setting
        held_out.setdefault(method, {})[setting] = entry
    return {method: Choice(chosen[method], held_out[method]) for method in held_out}
