"""The figures in Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from cals_mm.benchmark.plan import DEFAULT, Column
from cals_mm.methods import METHODS, REFERENCE

from .reading import (
    cell,
    difference,
    is_best,
    mark,
    reading,
    reading_of,
    shift_subject,
    subject,
    tried_settings,
)
from .results import BEST_OTHER, SCALED_REFERENCE, Results, Row

__all__ = [
    "choice_table",
    "differences_table",
    "figures_table",
    "markdown",
    "method_table",
    "results_csv",
]


def markdown(results: Results) -> str:
    """The table of results, how to read it, the choices and the commands."""
    columns = results.columns
    lines = [
        f"# {results.task.title}",
        "",
        subject(results),
        "",
        _row(["method", "setting", "seeds", *(column.heading for column in columns)]),
        _row(["---"] * (len(columns) + 3)),
    ]
    lines += [
        _row([row.method, row.setting, str(len(row.seeds)), *_cells(results, row, columns)])
        for row in results.rows
    ]
    if not results.rows:
        lines.append("\nNo run has been tested yet.")
    lines += ["", *(f"- {line}" for line in reading(results))]
    lines += _differences(results, columns, "")
    if results.shifted:
        lines += ["", "## Under shift", "", shift_subject(results), ""]
        lines += [method_table(results, results.shifted)]
        lines += _differences(results, results.shifted, " under shift")
    lines += ["", "## How the settings were chosen", "", choice_table(results)]
    lines += ["", "## Commands", "", "Those of the first seed; the others differ in `--seed`.", ""]
    lines += ["```", *(command for row in results.rows for command in row.commands), "```"]
    if results.failures:
        lines += ["", "## Missing", ""]
        lines += [f"- {name}: {reason}" for name, reason in results.failures.items()]
    named = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return "\n".join([*lines, "", f"Versions: {named}.", ""])


def _differences(results: Results, columns: Sequence[Column], where: str) -> list[str]:
    lines = []
    for to in (REFERENCE, SCALED_REFERENCE, BEST_OTHER):
        if any(to in row.comparisons for row in results.rows):
            lines += ["", f"## Difference to {to}{where}, with 95 % interval", ""]
            lines += [reading_of(to), "", differences_table(results, to, columns)]
    return lines


def figures_table(results: Results) -> str:
    """The figures alone, for a screen: a line each, a column for each method."""
    table = [["", *(METHODS[row.method].title for row in results.rows)]]
    for column in results.columns:
        table.append([column.heading, *(cell(row, column) for row in results.rows)])
    names, *figures = ([len(text) for text in texts] for texts in zip(*table, strict=True))
    widths = [max(figure) for figure in figures]
    return "\n".join(
        f"{name:<{max(names)}}"
        + "".join(f"  {text:>{width}}" for text, width in zip(texts, widths, strict=True))
        for name, *texts in table
    )


def method_table(results: Results, columns: Sequence[Column]) -> str:
    """Methods with their settings and figures, marked where they differ from the reference."""
    lines = [
        _row(["", "setting", *(column.heading for column in columns)]),
        _row(["---"] * (len(columns) + 2)),
    ]
    for row in results.rows:
        setting = "" if row.setting == DEFAULT.name else row.setting.replace("=", " ")
        cells = _cells(results, row, columns)
        lines.append(_row([METHODS[row.method].title, setting, *cells]))
    return "\n".join(lines)


def differences_table(results: Results, to: str, columns: Sequence[Column]) -> str:
    """Differences to a method with their intervals."""
    columns = [column for column in columns if column.better]
    lines = [
        _row(["method", *(column.heading for column in columns)]),
        _row(["---"] * (len(columns) + 1)),
    ]
    for row in results.rows:
        if to in row.comparisons:
            cells = [difference(row, column, to) for column in columns]
            lines.append(_row([METHODS[row.method].title, *cells]))
    return "\n".join(lines)


def _cells(results: Results, row: Row, columns: Sequence[Column]) -> list[str]:
    return [
        f"**{text}**" if is_best(results, row, column) else text
        for column in columns
        for text in [f"{cell(row, column)} {mark(row, column)}".rstrip()]
    ]


def choice_table(results: Results) -> str:
    """The held-out figures of all settings tried."""
    names = (results.task.main.heading, "ECE %", "NLL")
    lines = [
        f"By the lowest NLL on the held-out data with seed {results.seeds[0]}; the test split "
        "has no part in it.",
        "",
        _row(["method", "setting", *(f"held-out {name}" for name in names)]),
        _row(["---"] * 5),
    ]
    for tried in tried_settings(results):
        name = f"**{tried.setting}**" if tried.chosen else tried.setting
        lines.append(_row([tried.method, name, *tried.figures]))
    return "\n".join(lines)


def results_csv(results: Results) -> str:
    """One line per method; metrics are named as by ``tools/test.py``."""
    keys = [column.key for column in (*results.columns, *results.shifted)]
    parts = ("mean", "std", "difference_low", "difference_high")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["method", "setting", "seeds", *(f"{key}_{part}" for key in keys for part in parts)]
    )
    for row in results.rows:
        figures = []
        for key in keys:
            found = row.differences.get(key)
            ends = (found.low, found.high) if found else (None, None)
            figures += [row.mean.get(key), row.std.get(key), *ends]
        shown = ["" if value is None else repr(value) for value in figures]
        writer.writerow([row.method, row.setting, len(row.seeds), *shown])
    return text.getvalue()


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
