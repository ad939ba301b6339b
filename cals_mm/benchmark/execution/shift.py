"""The test of a run on corrupted images."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cals_mm import files
from cals_mm.benchmark.plan import SHIFT
from cals_mm.config import SCALED

from .run import read_json
from .testing import CheckpointTest

__all__ = ["ShiftTest"]


@dataclass(frozen=True)
class ShiftTest:
    """A test of one checkpoint on several corruptions, in one process.

    The temperature is that of the clean held-out data.

    Attributes:
        clean: The test on images as they are, which comes first.
        corruptions: As ``KIND:SEVERITY``.
    """

    clean: CheckpointTest
    corruptions: Sequence[str]

    @property
    def folder(self) -> Path:
        """Folder of its files."""
        return self.clean.folder.with_name(f"{self.clean.folder.name}-{SHIFT}")

    def command(self, temperature: float) -> list[str]:
        """The command of the test."""
        run, kept = self.clean.run, self.clean.kept()[0].name
        return [
            *run.script("test.py", run.dumped_config, self.clean.checkpoint),
            *("--corrupt", *self.corruptions, "--temperature", repr(temperature)),
            *("--work-dir", str(self.folder), "--out", str(self.folder / "metrics.json")),
            *(f"--{Path(kept).stem}", str(self.folder / kept)),
            *run.data_arguments(),
        ]

    def figures(self) -> dict[str, float] | None:
        """Figures of each corruption and their means; None if it has to be tested (again)."""
        marker = read_json(self.folder / "tested.json")
        if marker is None or marker["test"] != self._mark():
            return None
        metrics: dict[str, float] = marker["metrics"]
        found = {}
        for key in self._keys():
            single = {f"{name}/{key}": metrics.get(f"{name}/{key}") for name in self.corruptions}
            known = [value for value in single.values() if value is not None]
            if len(known) == len(single):
                found[f"{SHIFT}/{key}"] = statistics.fmean(known)
                found.update(zip(single, known, strict=True))
        return found

    def _keys(self) -> list[str]:
        """The figures of the columns, and their counterparts after temperature."""
        keys = [column.key.removeprefix(f"{SHIFT}/") for column in self.clean.run.task.shifted]
        scaled = [key.replace("calibration/", f"{SCALED}/") for key in keys]
        return list(dict.fromkeys(keys + scaled))

    def record(self) -> None:
        """Record what was tested, and its figures."""
        metrics = read_json(self.folder / "metrics.json")
        files.write_json(self.folder / "tested.json", {"test": self._mark(), "metrics": metrics})

    def kept(self) -> list[tuple[Path, Path]]:
        """Files of each corruption that hold single samples or images, before and after scaling."""
        names = [file.name for file in self.clean.kept()]
        return [
            (self._of_corruption(names[0], word), self._of_corruption(names[1], word))
            for word in self.corruptions
        ]

    def _of_corruption(self, name: str, corruption: str) -> Path:
        path = self.folder / name
        return path.with_stem(f"{path.stem}-{corruption.replace(':', '-')}")

    def _mark(self) -> dict[str, object]:
        clean = read_json(self.clean.folder / "tested.json")
        return {
            **clean["test"],
            "corruptions": list(self.corruptions),
            "temperature": clean["metrics"][f"{SCALED}/temperature"],
        }
