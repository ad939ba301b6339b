"""All figures of a campaign, from which tables, report and files are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cals_mm.benchmark.execution import Choice
from cals_mm.benchmark.plan import CRITERION, Column, Task
from cals_mm.methods import REFERENCE

from .bootstrap import Interval

__all__ = ["Results", "Row"]


@dataclass(frozen=True)
class Row:
    """A method that has been tested.

    Attributes:
        method: Name of the method.
        setting: Name of the chosen setting.
        figures: Figures on the test split by seed.
        mean: Mean over the seeds, by key of the column; None if a figure is missing.
        std: Standard deviation over the seeds; None for one seed, or if a figure is missing.
        differences: Difference to the reference, by key of the column.
        commands: Commands that trained and tested the first seed.
    """

    method: str
    setting: str
    figures: Mapping[int, Mapping[str, float]]
    mean: Mapping[str, float | None]
    std: Mapping[str, float | None]
    differences: Mapping[str, Interval]
    commands: Sequence[str]

    @property
    def seeds(self) -> list[int]:
        """Seeds it was tested with."""
        return list(self.figures)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain types for JSON."""
        return {
            **asdict(self),
            "seeds": self.seeds,
            "differences": {key: part.to_dict() for key, part in self.differences.items()},
        }


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
    rows: Sequence[Row]
    choices: Mapping[str, Choice]
    failures: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table."""
        return self.task.columns

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain types for JSON."""
        return {
            "task": self.task.name,
            "title": self.task.title,
            "checkpoint": self.checkpoint,
            "main": self.task.main.key,
            "seeds": list(self.seeds),
            "tries": self.tries,
            "epochs": self.epochs,
            "amp": self.amp,
            "criterion": CRITERION,
            "columns": [asdict(column) for column in self.columns],
            "reference": REFERENCE,
            "rows": [row.to_dict() for row in self.rows],
            "choices": [_choice(name, choice) for name, choice in self.choices.items()],
            "failures": dict(self.failures),
            "versions": dict(self.versions),
        }


def _choice(method: str, choice: Choice) -> dict[str, Any]:
    tried = [{"setting": s.name, **figures} for s, figures in choice.held_out.items()]
    return {"method": method, "chosen": choice.setting.name, "tried": tried}
