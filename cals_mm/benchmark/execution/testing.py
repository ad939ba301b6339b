"""The test of a trained checkpoint, which needs no training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from cals_mm import files
from cals_mm.config import SCALED, metrics_of, type_name
from cals_mm.functional import CALIBRATION_VALUES, CalibrationStatistics, calibration_values

from .fingerprint import TESTING, fingerprint
from .run import Run, read_json

__all__ = ["CheckpointTest"]

# Files that a test keeps in its folder: sums over all samples, also after temperature, and single
# logits, or for label maps the sums of single images.
SUMS, SCALED_SUMS = "calibration.pt", f"calibration-{SCALED}.pt"
PREDICTIONS, IMAGES, SCALED_IMAGES = "predictions.pt", "image-sums.pt", f"image-sums-{SCALED}.pt"


@dataclass(frozen=True)
class CheckpointTest:
    """A test before and after a temperature that is fitted on the held-out data.

    Attributes:
        run: The run, trained to the end.
        which: ``'best'`` or ``'last'`` checkpoint.
    """

    run: Run
    which: str

    @property
    def folder(self) -> Path:
        """Folder of its files."""
        return self.run.folder / f"test-{self.which}"

    @property
    def checkpoint(self) -> Path:
        """The tested file, which may have been deleted since."""
        return self.run.checkpoint(self.which)[1]

    def command(self, keep: bool = False) -> list[str]:
        """The command of the test, with the config dumped by the training.

        Args:
            keep: Whether to keep the files that the report needs besides the figures.
        """
        changes, more = {}, []
        if keep:
            evaluator = self.run.config().test_evaluator
            place = "test_evaluator.metrics" if isinstance(evaluator, dict) else "test_evaluator"
            for index, metric in enumerate(metrics_of(evaluator)):
                if type_name(metric) == "CalibrationMetric":
                    changes[f"{place}.{index}.out_file"] = str(self.folder / SUMS)
            kept = self.kept()[0]
            more = [f"--{kept.stem}", str(kept)]
        return [
            *self.run.script("test.py", self.run.dumped_config, self.checkpoint),
            *("--temperature", "held-out", "--work-dir", str(self.folder)),
            *("--out", str(self.folder / "metrics.json"), *more),
            *self.run.data_arguments(changes),
        ]

    def kept(self) -> tuple[Path, Path]:
        """Files that hold single samples or images, before and after scaling."""
        single = self.run.task.single_labels
        names = (PREDICTIONS, PREDICTIONS) if single else (IMAGES, SCALED_IMAGES)
        return self.folder / names[0], self.folder / names[1]

    def figures(self) -> dict[str, float] | None:
        """Figures on the test split; None if it has to be tested (again).

        Calibration values that are younger than the test follow from the sums that it kept.
        """
        marker = read_json(self.folder / "tested.json")
        if marker is None or marker["test"] != self.mark():
            return None
        metrics: dict[str, float] = marker["metrics"]
        for prefix, name in (("calibration", SUMS), (SCALED, SCALED_SUMS)):
            if (self.folder / name).is_file():
                metrics = {**_values(self.folder / name, prefix), **metrics}
        return metrics

    def record(self) -> None:
        """Record what was tested, and its figures."""
        metrics = read_json(self.folder / "metrics.json")
        files.write_json(self.folder / "tested.json", {"test": self.mark(), "metrics": metrics})

    def mark(self) -> dict[str, object]:
        """What the figures depend on."""
        return {
            "config": fingerprint(self.run.config(), TESTING),
            "checkpoint": self.checkpoint.name,
            "temperature": "held-out",
            **({} if self.run.task.single_labels else {"kept": IMAGES}),
        }


def _values(file: Path, prefix: str) -> dict[str, float]:
    """The calibration values of sums in a file."""
    values = calibration_values(CalibrationStatistics.from_dict(torch.load(file))).tolist()
    return {f"{prefix}/{name}": v for name, v in zip(CALIBRATION_VALUES, values, strict=True)}
