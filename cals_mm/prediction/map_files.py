"""Files with the predictions of a segmentor."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from cals_mm import files
from cals_mm.posthoc.conformal import RiskThreshold
from cals_mm.visualization import class_key, overlay, png

from .ahead import ahead
from .classes import Classes
from .image_model import Failure, Predicted
from .inputs import Input

__all__ = ["REJECTED", "MapFiles", "Maps"]

REJECTED = 255
"""Class of pixels below the confidence threshold."""


class Maps(NamedTuple):
    """The prediction for an image."""

    input: Input
    image: np.ndarray
    """As it was read, (H', W', C) or (H', W')."""
    classes: np.ndarray
    """(H, W) uint8."""
    confidence: np.ndarray
    """Probability of the predicted class, (H, W) float32."""
    accepted: np.ndarray | None
    """(H, W) bool: pixels that reach the threshold; None without one."""


@dataclass
class MapFiles:
    """Write a class map, a confidence map and an overlay for each image.

    - ``classes/NAME.png``: the predicted classes, as numbers with a palette; ``REJECTED`` below the
      threshold;
    - ``confidence/NAME.png``: confidence in 256 grey levels;
    - ``confidence/NAME.npz``: ``confidence`` (H, W) float32, on request;
    - ``overlay/NAME.jpg``: the picture of :func:`cals_mm.visualization.overlay`;
    - ``classes.png``: the colours of the classes, unless it exists.

    Args:
        folder: Folder of the results.
        classes: Names and colours of the classes.
        threshold: Reject pixels below this threshold.
        npz: Whether to write the confidence as float32 too.
        overwrite: Whether to replace files.
    """

    folder: str
    classes: Classes
    threshold: RiskThreshold | None = None
    npz: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        self._palette = self.classes.colours(REJECTED)
        self._bgr = [colour[::-1] for colour in self._palette]
        self._pixels = self._accepted = self._num_classes = 0

    def paths(self, name: str) -> list[str]:
        """Files of an input of this name."""
        paths = [f"classes/{name}.png", f"confidence/{name}.png", f"overlay/{name}.jpg"]
        paths += [f"confidence/{name}.npz"] if self.npz else []
        return [os.path.join(self.folder, path) for path in paths]

    def write(
        self, predictions: Iterable[Predicted | Failure], pool: Executor
    ) -> Iterator[Failure | None]:
        """Write a stream of predictions in a pool; yield failures, and None for each success.

        Raises:
            OSError: If a file cannot be written.
        """
        yield from ahead(pool, self._write, map(self._maps, predictions))
        key = os.path.join(self.folder, "classes.png")
        if self._num_classes and (self.overwrite or not os.path.lexists(key)):
            names = [self.classes.name(label) for label in range(self._num_classes)]
            picture = class_key(names, self._palette[: self._num_classes])
            files.write_bytes(key, png(picture), overwrite=self.overwrite)

    def after_interrupt(self) -> str:
        """What an interruption leaves behind."""
        return f"what was finished is in {self.folder}; --overwrite predicts all again"

    def summary(self) -> str:
        """What was written."""
        found = f"class maps, confidence maps and overlays: {self.folder}"
        if self.threshold is not None and self._pixels:
            share = 100 * self._accepted / self._pixels
            found += (
                f"\n{share:.1f} % of the pixels accepted at confidence "
                f"{self.threshold.threshold:.4f}, for an expected error of at most "
                f"{100 * self.threshold.risk:g} % of an image's accepted pixels"
            )
        return found

    def _maps(self, prediction: Predicted | Failure) -> Maps | Failure:
        """Reduce a prediction to two maps while it is on its device."""
        if isinstance(prediction, Failure):
            return prediction
        logits, label = prediction.logits, prediction.label
        if len(logits) > REJECTED:
            raise ValueError(
                f"the model has {len(logits)} classes, and a class map holds at most {REJECTED}; "
                "use cals_mm.prediction.ImageModel in a program"
            )
        self._num_classes = len(logits)
        # The softmax at the label, in half of the time of a whole one.
        confidence = (logits - logits.gather(0, label[None])).exp_().sum(0).reciprocal_()
        accepted = None
        if self.threshold is not None:
            accepted = self.threshold.accept(logits[None])[0]
            self._pixels += accepted.numel()
            self._accepted += int(accepted.sum())
        assert prediction.image is not None
        return Maps(
            prediction.input,
            prediction.image,
            label.byte().cpu().numpy(),
            confidence.cpu().numpy(),
            None if accepted is None else accepted.cpu().numpy(),
        )

    def _write(self, maps: Maps | Failure) -> Failure | None:
        if isinstance(maps, Failure):
            return maps
        size = maps.classes.shape
        photo = _photo(maps.image, (size[1], size[0]))
        drawn = overlay(photo, maps.classes, maps.confidence, self._bgr, maps.accepted)
        classes = maps.classes
        if maps.accepted is not None:
            classes = np.where(maps.accepted, classes, np.uint8(REJECTED))
        contents = [
            _indexed_png(classes, self._palette),
            _encoded(".png", (255 * maps.confidence).round().astype(np.uint8)),
            _encoded(".jpg", drawn),
        ]
        contents += [_npz(confidence=maps.confidence)] if self.npz else []
        for path, content in zip(self.paths(maps.input.name), contents, strict=True):
            files.write_bytes(path, content, overwrite=self.overwrite)
        return None


def _photo(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image of any number of channels and type as (H, W, 3) uint8, in the same order."""
    image = image[..., None] if image.ndim == 2 else image
    image = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, 2)
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = ((image - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if (image.shape[1], image.shape[0]) != size:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image


def _encoded(suffix: str, picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(picture))[1])


def _indexed_png(classes: np.ndarray, palette: list[tuple[int, int, int]]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    picture = Image.fromarray(classes)
    picture.putpalette([value for colour in [*palette, (0, 0, 0)] for value in colour])
    picture.save(stream, "png", compress_level=1)
    return stream.getvalue()


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
