"""The test pipeline of a config, for images without labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from cals_mm.config import type_name

__all__ = ["test_dataset", "test_pipeline"]


def test_dataset(cfg: Config) -> dict[str, Any]:
    """The config's test data set, or else that of validation, without wrappers; {} if none."""
    for split in ("test", "val"):
        loader = cfg.get(f"{split}_dataloader")
        loader = loader[0] if isinstance(loader, Sequence) else loader
        dataset = (loader or {}).get("dataset")
        while dataset and "pipeline" not in dataset:
            inner = dataset.get("dataset", dataset.get("datasets"))
            dataset = inner[0] if isinstance(inner, Sequence) else inner
        if dataset:
            return dict(dataset)
    return {}


def test_pipeline(cfg: Config) -> list[Any]:
    """Build the transforms of the test pipeline; the first one loads an image.

    Loading of labels is left out. Where the data set provides arrays, the pipeline has no transform
    that loads an image, and one is put in front. It gives the channels that the model's
    preprocessor expects: one if it normalises one, BGR if it converts that to RGB, else RGB.

    Raises:
        ValueError: If there is no test pipeline.
    """
    pipeline = test_dataset(cfg).get("pipeline") or cfg.get("test_pipeline")
    if not pipeline:
        raise ValueError(
            "the config has no test pipeline (test_dataloader.dataset.pipeline), which says how "
            "images are prepared; give the config of a training run"
        )
    transforms = [
        TRANSFORMS.build(copy.deepcopy(transform))
        for transform in pipeline
        if not _loads_labels(type_name(transform))
    ]
    if not _loads_an_image(type_name(pipeline[0])):
        transforms.insert(0, _ArrayLoader(cfg.model.get("data_preprocessor") or {}))
    return transforms


def _loads_labels(name: str) -> bool:
    return name.startswith("Load") and "Annotation" in name


def _loads_an_image(name: str) -> bool:
    return name.startswith("Load") and "Image" in name


class _ArrayLoader:
    """Load an image as the arrays of a data set are."""

    def __init__(self, preprocessor: dict[str, Any]) -> None:
        grey = len(preprocessor.get("mean") or ()) == 1
        swapped = preprocessor.get("to_rgb") or preprocessor.get("bgr_to_rgb")
        self.flag = "grayscale" if grey else "color"
        self.order = "bgr" if swapped else "rgb"

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        import mmcv

        image = mmcv.imread(results["img_path"], flag=self.flag, channel_order=self.order)
        if image is None:
            raise ValueError("no image of a known format")
        image = image[..., None] if image.ndim == 2 else image
        return {**results, "img": image, "img_shape": image.shape[:2], "ori_shape": image.shape[:2]}
