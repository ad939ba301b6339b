"""A file with the predictions of a classifier, one JSON object per line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cals_mm import files
from cals_mm.posthoc.conformal import PredictionSets
from cals_mm.visualization.names import short

from .classes import Classes
from .image_model import Failure, Predicted

__all__ = ["LineFile"]

_SHOWN = 10


@dataclass
class LineFile:
    """Write a line for each input to ``predictions.jsonl``.

    Each line is an object with ``input`` (path), ``label`` (number), ``class`` (name),
    ``confidence``, ``probabilities`` of all K classes in their order, and ``set``, the names of the
    classes in the prediction set, where the checkpoint carries one.

    Args:
        folder: Folder of the results.
        classes: Names of the classes.
        sets: The prediction sets, or None.
        overwrite: Whether to replace the file.
    """

    folder: str
    classes: Classes
    sets: PredictionSets | None = None
    overwrite: bool = False
    _first: list[dict[str, Any]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The file."""
        return os.path.join(self.folder, "predictions.jsonl")

    def paths(self, name: str) -> list[str]:
        """Files of an input of this name: the one file."""
        return [self.path]

    def write(
        self, predictions: Iterable[Predicted | Failure], pool: object = None
    ) -> Iterator[Failure | None]:
        """Write a stream of predictions; yield its failures, and None for each success.

        The file appears when the stream has ended.

        Raises:
            OSError: If the file cannot be written.
        """
        with files.writing(self.path, overwrite=self.overwrite) as stream:
            for prediction in predictions:
                if isinstance(prediction, Failure):
                    yield prediction
                    continue
                line = self._line(prediction)
                stream.write(files.encoded(json.dumps(line, ensure_ascii=False)) + b"\n")
                if len(self._first) < _SHOWN:
                    self._first.append(line)
                yield None

    def after_interrupt(self) -> str:
        """What an interruption leaves behind."""
        return "nothing was written"

    def summary(self) -> str:
        """The first predictions as a table, and where all are."""
        width = max([len(short(line["class"])) for line in self._first], default=0)
        rows = []
        for line in self._first:
            row = f"{100 * line['confidence']:5.1f} %  {short(line['class']):<{width}}"
            row += f"  {line['input']}"
            rows.append(row + (f"  {{{', '.join(line['set'])}}}" if self.sets else ""))
        found = f"all predictions: {self.path}"
        if self.sets is not None:
            found += f" (each set holds the class with probability {self.sets.coverage:g})"
        return "\n".join([*rows, found])

    def _line(self, prediction: Predicted) -> dict[str, Any]:
        probabilities = prediction.logits.softmax(0)
        label = int(prediction.label)
        line = {
            "input": prediction.input.path,
            "label": label,
            "class": self.classes.name(label),
            "confidence": float(probabilities[label]),
            "probabilities": probabilities.tolist(),
        }
        if self.sets is not None:
            inside = self.sets(prediction.logits[None])[0].nonzero()[:, 0]
            line["set"] = [self.classes.name(k) for k in inside.tolist()]
        return line
