"""Predict the texts in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cals_mm.text.predict import TextPredictor

from .image_model import Failure, Predicted
from .inputs import Input

__all__ = ["predict_texts"]


def predict_texts(
    predictor: TextPredictor, inputs: Iterable[Input]
) -> Iterator[Predicted | Failure]:
    """Predict a stream of files, each with one text in UTF-8."""
    for item in inputs:
        try:
            text = Path(item.path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            yield Failure(item, str(error))
            continue
        logits = predictor.logits([text])[0]
        yield Predicted(item, None, logits, logits.argmax())
