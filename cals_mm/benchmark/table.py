"""The figures as Markdown and as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

__all__ = ["cell", "choice_table", "markdown", "results_csv", "signed"]


def markdown(results: Mapping[str, Any]) -> str:
    """The table of results, how it is to be read, the choices and the commands."""
    columns = results["columns"]
    lines = [
        f"# {results['title']}",
        "",
        subject(results),
        "",
        _row(["method", "setting", "seeds", *(column["heading"] for column in columns)]),
        _row(["---"] * (len(columns) + 3)),
    ]
    for row in results["rows"]:
        cells = [cell(row, column) for column in columns]
        lines.append(_row([row["method"], row["setting"], str(len(row["seeds"])), *cells]))
    if not results["rows"]:
        lines.append("\nNo run has been tested yet.")
    lines += ["", "## How the settings were chosen", "", choice_table(results)]
    lines += ["", "## Commands", "", "Those of the first seed; the others differ in `--seed`.", ""]
    lines += ["```", *(command for row in results["rows"] for command in row["commands"]), "```"]
    if results["failures"]:
        lines += ["", "## Missing", ""]
        lines += [f"- {name}: {reason}" for name, reason in results["failures"].items()]
    named = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return "\n".join([*lines, "", f"Versions: {named}.", ""])


def subject(results: Mapping[str, Any]) -> str:
    """What the figures are of."""
    seeds = results["seeds"]
    best = results["checkpoint"] == "best"
    which = "that was best on the held-out data" if best else "of the last epoch"
    numbers = ", ".join(map(str, seeds))
    spread = f"mean ± standard deviation over seeds {numbers}"
    return f"Test split, the checkpoint {which}; {spread if len(seeds) > 1 else f'seed {numbers}'}."


def choice_table(results: Mapping[str, Any]) -> str:
    """The held-out figures of every setting that was tried."""
    main = next(c for c in results["columns"] if c["key"] == results["main"])
    names = (main["heading"], "ECE %", "NLL")
    lines = [
        f"By the lowest NLL on the held-out data with seed {results['seeds'][0]}; the test split "
        "has no part in it.",
        "",
        _row(["method", "setting", *(f"held-out {name}" for name in names)]),
        _row(["---"] * 5),
    ]
    for choice in results["choices"]:
        for tried in choice["tried"]:
            name = tried["setting"]
            if len(choice["tried"]) > 1 and name == choice["chosen"]:
                name = f"**{name}**"
            figures = (
                f"{tried[results['main']]:.2f}",
                f"{tried['calibration/ECE']:.2f}",
                f"{tried[results['criterion']]:.4f}",
            )
            lines.append(_row([choice["method"], name, *figures]))
    return "\n".join(lines)


def cell(row: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """Mean and standard deviation of one figure."""
    mean, deviation = row["mean"][column["key"]], row["std"][column["key"]]
    if mean is None:
        return "–"
    text = signed(mean, column)
    return text if deviation is None else f"{text} ± {deviation:.{column['digits']}f}"


def signed(value: float, column: Mapping[str, Any]) -> str:
    """A figure with the digits of its column; with its sign where the sign says something."""
    sign = "+" if column["better"] == "zero" else ""
    return f"{value:{sign}.{column['digits']}f}".replace("-", "−")


def results_csv(results: Mapping[str, Any]) -> str:
    """One line for each method; metrics under the names that ``tools/test.py`` gives them."""
    keys = [column["key"] for column in results["columns"]]
    parts = ("mean", "std")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["method", "setting", "seeds", *(f"{key}_{part}" for key in keys for part in parts)]
    )
    for row in results["rows"]:
        figures = [row[part][key] for key in keys for part in parts]
        shown = ["" if value is None else repr(value) for value in figures]
        writer.writerow([row["method"], row["setting"], len(row["seeds"]), *shown])
    return text.getvalue()


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
