"""Predict images with a segmentor or a classifier."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor

from cals_mm.frameworks import keep_logits, predicted_logits
from cals_mm.functional._probabilities import LogitsCheck
from cals_mm.runs.config_file import import_modules

from .ahead import ahead
from .classes import Classes, find_classes
from .inputs import Input
from .load_model import load_model
from .pipeline import test_pipeline

__all__ = ["Failure", "ImageModel", "Loaded", "Predicted"]


_WORKERS = 2
"""As many images are in work at once, so that memory stays bounded."""


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
        cfg: Config of the training run, whose ``custom_imports`` are imported; labels and data are
            not needed.
        checkpoint: As read from the file.

    Attributes:
        segmentation: Whether each pixel has a prediction.
        classes: Names and colours of the classes.

    Raises:
        ImportError: If a module of the config cannot be imported.
        ValueError: If the weights do not fit the config, or it has no test pipeline.
    """

    def __init__(self, cfg: Config, checkpoint: Mapping[str, Any]) -> None:
        import_modules(cfg)
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmengine"):
            self.model = load_model(cfg, checkpoint)
            self.pipeline = test_pipeline(cfg)
            self.classes: Classes = find_classes(cfg, checkpoint)
        self.segmentation = hasattr(self.model, "decode_head")
        self._check_logits = LogitsCheck()
        self._on_cpu = all(weight.is_cpu for weight in self.model.parameters())
        self._own, self._lock = threading.local(), threading.Lock()

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

    @contextmanager
    def workers(self) -> Iterator[Executor]:
        """Workers for :meth:`predict_files`, and to write its results.

        On a GPU they read and write beside the network. On a CPU, where threads that work beside
        those of a layer make it wait, each predicts images of its own with its share of the
        threads, by a copy of the model that has the same weights.
        """
        if not self._on_cpu:
            with ThreadPoolExecutor(_WORKERS) as pool:
                yield pool
            return
        threads = torch.get_num_threads()
        workers = min(_WORKERS, threads)
        torch.set_num_threads(threads // workers)  # of this thread, and of all that start later
        try:
            with ThreadPoolExecutor(workers, initializer=self._copy) as pool:
                yield pool
        finally:
            torch.set_num_threads(threads)

    def predict_files(
        self, inputs: Iterable[Input], workers: Executor, batch_size: int = 1
    ) -> Iterator[Predicted | Failure]:
        """Read and predict a stream of files.

        Args:
            inputs: The files.
            workers: From :meth:`workers`.
            batch_size: Most images to predict together.

        Yields:
            The predictions in the order of the files.
        """
        if self._on_cpu:
            for batch in ahead(workers, self._predict_by_copy, _chunks(inputs, batch_size)):
                yield from batch
        else:
            yield from self.predict(ahead(workers, self.read, inputs), batch_size)

    def _copy(self) -> None:
        with self._lock:
            weights = [*self.model.parameters(), *self.model.buffers()]
            self._own.model = copy.copy(self)
            self._own.model.model = copy.deepcopy(self.model, {id(each): each for each in weights})

    def _predict_by_copy(self, inputs: list[Input]) -> list[Predicted | Failure]:
        model: ImageModel = self._own.model
        return list(model.predict(map(self.read, inputs), len(inputs)))

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


def _chunks(inputs: Iterable[Input], size: int) -> Iterator[list[Input]]:
    stream = iter(inputs)
    while chunk := list(itertools.islice(stream, size)):
        yield chunk


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
