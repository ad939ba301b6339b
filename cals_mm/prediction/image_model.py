"""Predict images with a segmentor or a classifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor

from cals_mm.frameworks import keep_logits, predicted_logits
from cals_mm.functional._probabilities import LogitsCheck

from .classes import Classes, find_classes
from .inputs import Input
from .load_model import load_model
from .pipeline import test_pipeline

__all__ = ["Failure", "ImageModel", "Loaded", "Predicted"]


class Failure(NamedTuple):
    """An input without a result."""

    input: Input
    reason: str


class Loaded(NamedTuple):
    """An image that is ready for the network."""

    input: Input
    image: np.ndarray
    """As it was read, (H, W, C) or (H, W), BGR in most pipelines."""
    packed: Any
    """Result of the pipeline."""


class Predicted(NamedTuple):
    """The prediction for an input."""

    input: Input
    image: np.ndarray | None
    """As in :class:`Loaded`; None for a text."""
    logits: Tensor
    """(K,) or (K, H, W) float32, on the model's device."""
    label: Tensor
    """The predicted class, () or (H, W) int64."""


class ImageModel:
    """A trained segmentor or classifier with the pipeline of its images.

    The softmax of the logits is calibrated if the checkpoint is (``tools/calibrate.py``).

    Args:
        cfg: Config of the training run; labels and data are not needed.
        checkpoint: As read from the file.

    Attributes:
        segmentation: Whether each pixel has a prediction.
        classes: Names and colours of the classes.

    Raises:
        ValueError: If the weights do not fit the config, or it has no test pipeline.
    """

    def __init__(self, cfg: Config, checkpoint: Mapping[str, Any]) -> None:
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmengine"):
            self.model = load_model(cfg, checkpoint)
            self.pipeline = test_pipeline(cfg)
            self.classes: Classes = find_classes(cfg, checkpoint)
        self.segmentation = hasattr(self.model, "decode_head")
        self._check_logits = LogitsCheck()

    def read(self, item: Input) -> Loaded | Failure:
        """Load and prepare an image; any number of threads may do so."""
        load, *prepare = self.pipeline
        try:
            results = load({"img_path": item.path})
            image = results["img"]
            for transform in prepare:
                results = transform(results)
        except Exception as error:
            # Decoders and transforms raise all kinds of exceptions for broken files.
            return Failure(item, " ".join(str(error).split()) or type(error).__name__)
        return Loaded(item, image, results)

    @torch.no_grad()
    def predict(
        self, images: Iterable[Loaded | Failure], batch_size: int = 1
    ) -> Iterator[Predicted | Failure]:
        """Predict a stream of images.

        Args:
            images: From :meth:`read`; failures are passed on.
            batch_size: Most images to predict together; they follow each other and have one size.

        Yields:
            The predictions in the order of the images.
        """
        with keep_logits(self.model):
            for batch in _batches(images, batch_size):
                yield from self._predict_batch(batch)

    def warning(self) -> str | None:
        """One line if the scores predicted so far were no logits."""
        return self._check_logits.warning()

    def _predict_batch(self, batch: list[Loaded | Failure]) -> Iterator[Predicted | Failure]:
        if isinstance(batch[0], Failure):
            yield batch[0]
            return
        samples = self.model.test_step(  # type: ignore[operator]
            pseudo_collate([item.packed for item in batch if isinstance(item, Loaded)])
        )
        for item, sample in zip(batch, samples, strict=True):
            logits = predicted_logits(sample).float()
            self._check_logits.add(logits[None])
            if not logits.sum().isfinite():  # a quarter of the time of asking each
                yield Failure(item.input, "the model gives NaN or infinite logits")
                continue
            label = sample.pred_sem_seg.data[0] if self.segmentation else logits.argmax(0)
            assert isinstance(item, Loaded)
            yield Predicted(item.input, item.image, logits, label)


def _batches(
    images: Iterable[Loaded | Failure], batch_size: int
) -> Iterator[list[Loaded | Failure]]:
    """Divide a stream into batches of images of one size; a failure is a batch of its own."""
    batch: list[Loaded | Failure] = []
    for item in images:
        if batch and (len(batch) == batch_size or _size(item) != _size(batch[0])):
            yield batch
            batch = []
        batch.append(item)
        if isinstance(item, Failure):
            yield batch
            batch = []
    if batch:
        yield batch


def _size(item: Loaded | Failure) -> Any:
    return None if isinstance(item, Failure) else item.packed["inputs"].shape
