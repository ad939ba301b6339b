"""Figures as text, and explanations for the reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from cals_mm.benchmark.plan import CRITERION, Column
from cals_mm.functional import CALIBRATION_VALUES
from cals_mm.methods import REFERENCE

from .bootstrap import chance_of_a_mark
from .results import BEST_OTHER, SCALED_REFERENCE, Results, Row, merit

__all__ = [
    "GLOSSARY",
    "Tried",
    "cell",
    "difference",
    "is_best",
    "mark",
    "reading",
    "reading_of",
    "shift_subject",
    "signed",
    "subject",
    "tried_settings",
]

BETTER, WORSE = "▲", "▼"

GLOSSARY = {
    value.heading.removesuffix(" %"): value.meaning
    for value in CALIBRATION_VALUES.values()
    if value.compared
}
GLOSSARY["+T"] = (
    "the same after temperature scaling: the logits divided by one number, that with the lowest "
    "NLL on the held-out data"
)
"""Meaning of the columns."""


def subject(results: Results) -> str:
    """Describe what the figures refer to."""
    seeds = results.seeds
    best = results.checkpoint == "best"
    which = "that was best on the held-out data" if best else "of the last epoch"
    numbers = ", ".join(map(str, seeds))
    spread = f"mean ± standard deviation over seeds {numbers}"
    return f"Test split, the checkpoint {which}; {spread if len(seeds) > 1 else f'seed {numbers}'}."


def shift_subject(results: Results) -> str:
    """Describe what the figures under shift refer to."""
    return (
        f"Means over the corruptions {', '.join(results.shift)} of the test images, of ImageNet-C "
        "(of CIFAR-10-C for images of less than 64 pixels). The temperature is the one fitted on "
        "clean held-out data."
    )


def cell(row: Row, column: Column) -> str:
    """Mean and standard deviation of one figure."""
    mean, deviation = row.mean.get(column.key), row.std.get(column.key)
    if mean is None:
        return "–"
    text = signed(mean, column)
    return text if deviation is None else f"{text} ± {deviation:.{column.digits}f}"


def signed(value: float, column: Column) -> str:
    """Format a figure with the digits of its column, and with its sign if that is meaningful."""
    sign = "+" if column.better == "zero" else ""
    return f"{value:{sign}.{column.digits}f}".replace("-", "−")


def mark(row: Row, column: Column) -> str:
    """Mark a figure that is better or worse than the reference's, if the interval excludes 0."""
    found = row.differences.get(column.key)
    if not found or not found.excludes_zero:
        return ""
    return BETTER if (found.difference > 0) == (column.better == "higher") else WORSE


def is_best(results: Results, row: Row, column: Column) -> bool:
    """Whether a figure is the best of its column, and marked as better than the reference."""
    if mark(row, column) != BETTER:
        return False
    return merit(row, column) == max(merit(other, column) for other in results.rows)


def difference(row: Row, column: Column, to: str = REFERENCE) -> str:
    """Format the difference to ``to`` with its interval, and the name of the best other."""
    found = row.comparisons.get(to, {}).get(column.key)
    if not found:
        return "–"
    signs = replace(column, better="zero")
    text = signed(found.difference, signs)
    if found.low is not None and found.high is not None:
        text += f" [{signed(found.low, signs)}, {signed(found.high, signs)}]"
    return f"{text} {found.other}" if to == BEST_OTHER else text


def reading(results: Results) -> list[str]:
    """Explain how to read the table, and its limits."""
    found = [item for row in results.rows for item in row.differences.values()]
    if not found:
        if {row.method for row in results.rows} == {REFERENCE}:
            return [f"No comparison: no method but {REFERENCE} has been tested."]
        return [f"No comparison: {REFERENCE} has not been tested with the same seeds."]
    reference = REFERENCE
    lines = [
        f"{BETTER} better, {WORSE} worse than {reference}, and the 95 % interval of the difference "
        "excludes 0. **Bold**: the best of its column, where it is marked so; a column without a "
        f"bold figure shows no method that is clearly better than {reference}. Of conf − acc the "
        "distance to 0 counts."
    ]
    over = {item.over for item in found}
    count = len(results.seeds)
    for unit in ("test samples", "test images"):
        if any(unit in text for text in over):
            lines.append(
                f"Intervals: paired bootstrap. Resampled are {'the seeds and ' * (count > 1)}the "
                f"{unit}, the same ones for all methods"
                + ("; of some figures the seeds alone." if "seeds" in over else ".")
                + (" Some figures have no interval." if "nothing" in over else "")
            )
            break
    else:
        if "seeds" in over:
            lines.append(
                "Intervals: paired bootstrap over the seeds. The test split is always whole."
            )
    if over == {"nothing"}:
        lines.append("One seed, and nothing to resample: the differences have no intervals.")
    elif count < 6:
        few = (
            "One seed says nothing about others: the intervals hold for this one training of each."
            if count == 1
            else f"{count} seeds are few, and the intervals rather too narrow: how far another "
            "seed would lie is hardly known from so many."
        )
        if "seeds" in over:
            few += (
                " Where the seeds alone are resampled and there is no difference at all, the "
                f"interval excludes 0 all the same in about {100 * chance_of_a_mark(count):.0f} % "
                "of the cases: such a mark is a hint, not a proof."
            )
        lines.append(few)
    marked = sum(item.low is not None for item in found)
    if marked > 20:
        lines.append(
            f"There are {marked} comparisons: at 95 %, about {marked / 20:.0f} would be marked by "
            "chance alone."
        )
    return lines


def reading_of(to: str) -> str:
    """Explain what a table of differences compares with."""
    if to == SCALED_REFERENCE:
        return (
            f"What a method is worth over {REFERENCE} with a temperature fitted afterwards: the "
            f"plain columns are those of the method as it is, against {REFERENCE} after "
            "temperature; in the columns +T both have one."
        )
    if to == BEST_OTHER:
        return (
            "To the best of all other methods in this column, by the figures of the test split, "
            "which is named: a comparison that favours the other."
        )
    return f"Each method as it is against {REFERENCE} as it is; in the columns +T both have one."


class Tried(NamedTuple):
    """A setting that was tried, as text.

    Attributes:
        method: Name of the method.
        setting: Name of the setting.
        chosen: Whether it was chosen among several.
        figures: Held-out values of the task's main figure, ECE and NLL.
    """

    method: str
    setting: str
    chosen: bool
    figures: tuple[str, str, str]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def tried_settings(results: Results) -> Iterator[Tried]:
    """All settings tried, in the order of the methods and of trying."""
    for method, choice in results.choices.items():
        for setting, figures in choice.held_out.items():
            chosen = len(choice.held_out) > 1 and setting == choice.setting
            shown = (
                _number(figures[results.task.main.key], 2),
                _number(figures["calibration/ECE"], 2),
                _number(figures[CRITERION], 4),
            )
            yield Tried(method, setting.name, chosen, shown)
