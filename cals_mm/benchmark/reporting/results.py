"""All figures of a campaign, from which tables, report and files are made."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cals_mm.benchmark.execution import Choice
from cals_mm.benchmark.plan import Column, Task
from cals_mm.methods import REFERENCE

from .bootstrap import Interval

__all__ = ["BEST_OTHER", "SCALED_REFERENCE", "Results", "Row", "merit"]

SCALED_REFERENCE = f"{REFERENCE} + temperature"
"""The reference after temperature scaling, as what others are compared with."""
BEST_OTHER = "best other"
"""The best of all other methods, in each column another one."""


@dataclass(frozen=True)
class Row:
    """A method that has been tested.

    Attributes:
        method: Name of the method.
        setting: Name of the chosen setting.
        figures: Figures on the test split by seed.
        comparisons: Differences by what they are to, :data:`~cals_mm.methods.REFERENCE`,
            :data:`SCALED_REFERENCE` or :data:`BEST_OTHER`, and by key of the column.
        commands: Commands that trained and tested the first seed; empty for stored results.
    """

    method: str
    setting: str
    figures: Mapping[int, Mapping[str, float]]
    comparisons: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    commands: Sequence[str] = ()

    @property
    def seeds(self) -> list[int]:
        """Seeds it was tested with."""
        return list(self.figures)

    @property
    def differences(self) -> Mapping[str, Interval]:
        """Differences to the reference, by key of the column."""
        return self.comparisons.get(REFERENCE, {})

    @cached_property
    def mean(self) -> Mapping[str, float | None]:
        """Mean over the seeds by key of the figure; None if a seed lacks it or has no number."""
        return self._each(statistics.fmean)

    @cached_property
    def std(self) -> Mapping[str, float | None]:
        """Standard deviation over the seeds; None for one seed, or if a seed lacks the figure."""
        return self._each(lambda known: statistics.stdev(known) if len(known) > 1 else None)

    def _each(self, function: Callable[[list[float]], float | None]) -> dict[str, float | None]:
        result = {}
        for key in {key for metrics in self.figures.values() for key in metrics}:
            values = [metrics.get(key) for metrics in self.figures.values()]
            known = [value for value in values if isinstance(value, (int, float))]
            result[key] = function(known) if len(known) == len(values) else None
        return result


def merit(row: Row, column: Column) -> float:
    """Score of a figure, where higher is better; minus infinity if it is missing or no merit.

    Where 0 is the best value, the mean distance to it counts: signs do not cancel between seeds.
    """
    mean = row.mean.get(column.key)
    if mean is None or column.better is None:
        return -math.inf
    if column.better == "zero":
        return -statistics.fmean(abs(figures[column.key]) for figures in row.figures.values())
    return mean if column.better == "higher" else -mean


@dataclass(frozen=True)
class Results:
    """Results of a campaign.

    Attributes:
        task: What was trained and tested.
        checkpoint: Tested checkpoint, ``'best'`` on the held-out data or ``'last'``.
        seeds: All seeds; settings were chosen with the first.
        tries: Number of settings tried of each method that has a knob.
        epochs: Length of the trainings, if it differs from the config's.
        amp: Whether the trainings used mixed precision.
        shift: Corruptions that were tested on too.
        rows: One row for each method with a tested run.
        choices: How the setting of each method was chosen.
        failures: Missing runs, with reasons.
        versions: Versions of packages that may affect the figures.
    """

    task: Task
    checkpoint: str
    seeds: Sequence[int]
    tries: int
    epochs: int | None
    amp: bool
    shift: Sequence[str]
    rows: Sequence[Row]
    choices: Mapping[str, Choice]
    failures: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table."""
        return self.task.columns

    @property
    def shifted(self) -> tuple[Column, ...]:
        """The columns under shift."""
        return self.task.shifted if self.shift else ()

    @property
    def name(self) -> str:
        """Name of the stored file: the task, and the checkpoint if it is the last."""
        return self.task.name if self.checkpoint == "best" else f"{self.task.name}-last"

    def _subject(self) -> str:
        return (
            f"--config {Path(self.task.config).name}"
            if self.task.own
            else f"--task {self.task.name}"
        )

    @property
    def command(self) -> str:
        """The command that makes all runs, as it would be typed in the project's root."""
        words = ["python tools/benchmark.py", self._subject()]
        if self.task.needs_data:
            words.append("--data-root DIR")
        words.append(f"--seeds {' '.join(map(str, self.seeds))} --tries {self.tries}")
        if self.checkpoint != "best":
            words.append(f"--checkpoint {self.checkpoint}")
        if self.epochs:
            words.append(f"--epochs {self.epochs}")
        if self.amp:
            words.append("--amp")
        if self.shift:
            words.append(f"--shift {' '.join(self.shift)}")
        words.append(f"--methods {' '.join(row.method for row in self.rows)}")
        return textwrap.fill(" ".join(words), 98, subsequent_indent="  ").replace("\n", " \\\n")
