"""The report: results, explanations, figures, choices and commands on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from html import escape

from cals_mm.benchmark.execution import Campaign
from cals_mm.benchmark.plan import USEFULNESS, Column
from cals_mm.functional import CalibrationStatistics
from cals_mm.methods import REFERENCE

from . import page
from .page import Cell
from .pictures import (
    class_pictures,
    curve_pictures,
    interval_picture,
    pooled,
    reliability_pictures,
    risk_pictures,
)
from .reading import (
    BETTER,
    GLOSSARY,
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
from .results import BEST_OTHER, SCALED_REFERENCE, Results, Row, merit

__all__ = ["report"]


def report(campaign: Campaign, results: Results) -> str:
    """The page as HTML.

    Args:
        campaign: A campaign after its run; figures are drawn from its folders.
        results: Its results from :func:`~cals_mm.benchmark.collect`.
    """
    ordered = replace(results, rows=sorted(results.rows, key=_error))
    order = [row.method for row in ordered.rows]
    sums = pooled(campaign)
    sums = {method: sums[method] for method in order if method in sums}
    title = f"Calibration on {results.task.title}"
    return page.document(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            page.text(_lead(ordered), "lead"),
            page.bullets(_short(ordered)) if order else "",
            _results(ordered),
            _differences(ordered),
            page.section(
                "Is confidence what it should be?",
                page.text(
                    "Samples are sorted into bins by how sure the model is. On the dashed diagonal "
                    "a model that says 80 % is right in 80 % of the cases. Orange above the bars: "
                    "it is less often right than it says. Below: how many samples have which "
                    "confidence. The samples of all seeds are pooled, so the ECE differs from the "
                    "table's, which is the mean of each seed's."
                ),
                page.pictures(reliability_pictures(sums)),
            )
            if sums
            else "",
            _under_shift(ordered),
            _usefulness(ordered, sums),
            page.section(
                "Which classes are badly calibrated?",
                page.text(
                    "Calibration error of the probability of each class, all seeds together. An "
                    "average hides a rare class that is far off."
                ),
                page.pictures(class_pictures(campaign, sums), large=True),
            )
            if sums
            else "",
            _curves(campaign),
            _choices(ordered),
            _commands(ordered),
        ],
    )


def _error(row: Row) -> float:
    error = row.mean.get("calibration/ECE")
    return float("inf") if error is None else error


def _lead(results: Results) -> str:
    budget = "One budget for all: the same model, data, schedule and seeds"
    if results.epochs:
        budget += f", {results.epochs} epochs"
    count = len(results.rows)
    methods = f"{count} method{'s' if count != 1 else ''}"
    return f"{methods}. {budget}. {subject(results)}"


def _short(results: Results) -> list[str]:
    """The best methods in the main columns, and whether that is more than noise."""
    lines = []
    keys = ("calibration/ECE", "calibration/NLL", results.task.main.key)
    columns = {column.key: column for column in results.columns}
    for column in (columns[key] for key in keys):
        known = [row for row in results.rows if row.mean.get(column.key) is not None]
        if not known:
            continue
        best = max(known, key=partial(merit, column=column))
        word = "Highest" if column.better == "higher" else "Lowest"
        line = f"{word} {column.heading}: **{best.method}**, {cell(best, column)}"
        if best.differences:
            line += f"; difference to {REFERENCE} {difference(best, column)}"
            found = best.differences.get(column.key)
            if found is not None and found.low is not None:
                excluded = mark(best, column) == BETTER
                line += f"; the interval {'excludes' if excluded else 'holds'} 0"
        lines.append(line + ".")
    return lines


def _results(results: Results) -> str:
    missing = [f"Missing: {name}: {reason}" for name, reason in results.failures.items()]
    terms = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in GLOSSARY.items())
    columns = [column for column in results.columns if column not in USEFULNESS]
    return page.section(
        "Results",
        page.text("Ordered by ECE, the lowest first."),
        _figures(results, columns) if results.rows else page.text("No run has been tested yet."),
        page.bullets([*reading(results), *missing]),
        f"<dl>{terms}</dl>",
    )


def _figures(results: Results, columns: Sequence[Column]) -> str:
    styles = {BETTER: "good", "": ""}
    uneven = any(len(row.seeds) < len(results.seeds) for row in results.rows)
    rows = [
        [
            Cell(row.method),
            Cell(row.setting, "text"),
            *([Cell(str(len(row.seeds)))] if uneven else []),
            *(
                Cell(
                    f"{cell(row, column)} {mark(row, column)}".rstrip(),
                    styles.get(mark(row, column), "bad"),
                    is_best(results, row, column),
                )
                for column in columns
            ),
        ]
        for row in results.rows
    ]
    heads = ["method", "setting", *(["seeds"] if uneven else [])]
    return page.table([*heads, *(column.heading for column in columns)], rows)


def _under_shift(results: Results) -> str:
    columns = results.shifted
    if not results.rows or not columns:
        return ""
    return page.section(
        "Does it hold where the images are worse?",
        page.text(shift_subject(results)),
        _figures(results, columns),
        *(_differences_to(results, to, columns) for to in (REFERENCE, SCALED_REFERENCE)),
    )


def _usefulness(results: Results, sums: Mapping[str, CalibrationStatistics]) -> str:
    columns = [column for column in results.columns if column in USEFULNESS]
    if not results.rows or not columns:
        return ""
    return page.section(
        "Is confidence higher where the prediction is right?",
        page.text(
            "Whoever rejects the least confident predictions, or hands them to a human, needs the "
            "ranking rather than the numbers. A temperature hardly changes it. The lower the curve "
            "and its area (AURC), the better."
        ),
        _figures(results, columns),
        page.pictures(risk_pictures(sums), large=True),
    )


def _differences(results: Results) -> str:
    return page.section(
        "Differences",
        page.text(
            f"To {REFERENCE}. A dot is the mean difference over the seeds, a line its 95 % "
            "interval. Blue: better, orange: worse, grey: the interval holds 0, so the difference "
            "may be chance."
        )
        if any(row.differences for row in results.rows)
        else "",
        page.pictures(interval_picture(results), large=True),
        *(
            _differences_to(results, to, results.columns)
            for to in (REFERENCE, SCALED_REFERENCE, BEST_OTHER)
        ),
    )


def _differences_to(results: Results, to: str, columns: Sequence[Column]) -> str:
    compared = [row for row in results.rows if to in row.comparisons]
    if not compared:
        return ""
    columns = [column for column in columns if column.better]
    heads = [f"to {to}", *(column.heading for column in columns)]
    rows = [
        [Cell(row.method), *(Cell(difference(row, column, to)) for column in columns)]
        for row in compared
    ]
    return page.text(reading_of(to)) + page.table(heads, rows)


def _curves(campaign: Campaign) -> str:
    drawn = curve_pictures(campaign)
    if not drawn:
        return ""
    return page.section(
        "What the losses learned",
        page.text(
            "Some losses follow the validation: after each one their multipliers (or margins, or "
            "weights) move. A multiplier that stays at the bottom: that class needs no penalty."
        ),
        page.pictures(drawn, large=True),
    )


def _choices(results: Results) -> str:
    rows = []
    for tried in tried_settings(results):
        name = f"{tried.setting}{' (chosen)' if tried.chosen else ''}"
        figures = [Cell(figure, strong=tried.chosen) for figure in tried.figures]
        rows.append([Cell(tried.method), Cell(name, "text", tried.chosen), *figures])
    heading = f"held-out {results.task.main.heading}"
    heads = ["method", "setting", heading, "held-out ECE %", "held-out NLL"]
    return page.section(
        "How the settings were chosen",
        page.text(
            f"By the lowest NLL on the held-out data with seed {results.seeds[0]}. The test "
            f"split has no part in it. Tries for each method with a setting to choose: "
            f"{results.tries}."
        ),
        page.table(heads, rows) if rows else "",
    )


def _commands(results: Results) -> str:
    named = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return page.section(
        "Commands",
        page.text("Of the first seed, in the project's folder; the others differ in --seed."),
        *(page.code(row.method, row.commands) for row in results.rows),
        page.text(f"Versions: {named}.", "note"),
    )
