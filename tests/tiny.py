"""A segmentation run of seconds, on real files through the real loaders and the real runner."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

import cals_mm  # noqa: F401, registers the components as a config's custom_imports does
from cals_mm.core import AutoMargin

CLASSES = ("road", "car", "tree", "sky")
SIZE = (24, 32)
MARGIN = 0.02  # small, for the logits of so short a training are close together


def make_images(root: Path, split: str, count: int, seed: int = 0) -> None:
    """Write images whose colour hints at the label, with void pixels of differing number."""
    rng = np.random.default_rng([seed, len(split)])
    for folder in ("images", "labels"):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        label = rng.integers(0, len(CLASSES), (3, 4)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        image = (label[..., None] * 60 + rng.integers(0, 70, (*SIZE, 3))).astype(np.uint8)
        label[: rng.integers(0, 20)] = 255
        cv2.imwrite(str(root / "images" / split / f"{index}.png"), image)
        cv2.imwrite(str(root / "labels" / split / f"{index}.png"), label)


def tiny_config(root: Path, loop: str = "epoch", steps: int = 3, **changes: Any) -> Config:
    """Config of a small FCN on the images under ``root``, with CALS.

    Args:
        root: Folder for data (made where missing) and for ``work_dir``.
        loop: 'epoch' or 'iter'.
        steps: Epochs, or validations of two iterations each.
        changes: Options as for ``--cfg-options``, dots written as double underscores.
    """
    if not (root / "images").exists():
        for split, count in (("train", 4), ("val", 5), ("test", 3)):
            make_images(root, split, count)
    pipeline = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
    flip = [dict(type="RandomFlip", prob=0.5)]

    def loader(split: str, shuffle: bool, batch_size: int) -> dict:
        sampler = dict(type="DefaultSampler", shuffle=shuffle)
        if shuffle and loop == "iter":
            sampler = dict(type="InfiniteSampler", shuffle=True)
        return dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=sampler,
            dataset=dict(
                type="BaseSegDataset",
                metainfo=dict(classes=CLASSES, palette=[[k, k, k] for k in range(4)]),
                data_root=str(root),
                img_suffix=".png",
                data_prefix=dict(img_path=f"images/{split}", seg_map_path=f"labels/{split}"),
                pipeline=pipeline + (flip if shuffle else []) + [dict(type="PackSegInputs")],
            ),
        )

    by_epoch = loop == "epoch"
    train_cfg = (
        dict(type="EpochBasedTrainLoop", max_epochs=steps)
        if by_epoch
        else dict(type="IterBasedTrainLoop", max_iters=2 * steps, val_interval=2)
    )
    interval = 1 if by_epoch else 2
    cfg = Config(
        dict(
            default_scope="mmseg",
            custom_imports=dict(imports=["cals_mm"]),
            model=dict(
                type="EncoderDecoder",
                data_preprocessor=dict(
                    type="SegDataPreProcessor",
                    mean=[128.0] * 3,
                    std=[60.0] * 3,
                    size_divisor=1,
                    test_cfg=dict(size_divisor=1),
                ),
                backbone=dict(
                    type="ResNetV1c",
                    depth=18,
                    stem_channels=8,
                    base_channels=8,
                    num_stages=1,
                    strides=(1,),
                    dilations=(1,),
                    out_indices=(0,),
                    norm_cfg=dict(type="BN"),
                ),
                decode_head=dict(
                    type="FCNHead",
                    in_channels=8,
                    in_index=0,
                    channels=8,
                    num_convs=1,
                    dropout_ratio=0.2,
                    num_classes=len(CLASSES),
                    norm_cfg=dict(type="BN"),
                    loss_decode=dict(
                        type="CALSLoss", num_classes=len(CLASSES), margin=MARGIN, rho_interval=2
                    ),
                ),
                train_cfg=dict(),
                test_cfg=dict(mode="whole"),
            ),
            train_dataloader=loader("train", True, 2),
            val_dataloader=loader("val", False, 2),
            test_dataloader=loader("test", False, 1),
            train_cfg=train_cfg,
            val_cfg=dict(),
            test_cfg=dict(),
            val_evaluator=dict(type="IoUMetric"),
            test_evaluator=dict(type="IoUMetric"),
            optim_wrapper=dict(
                type="OptimWrapper",
                optimizer=dict(type="SGD", lr=0.05, momentum=0.9),
                clip_grad=dict(max_norm=2.0),
            ),
            default_hooks=dict(
                checkpoint=dict(type="CheckpointHook", interval=interval, by_epoch=by_epoch)
            ),
            custom_hooks=[
                dict(type="RandomStateHook"),
                dict(type="CALSMultiplierHook", draw=False),
            ],
            log_processor=dict(by_epoch=by_epoch),
            log_level="WARNING",
            randomness=dict(seed=3),
            work_dir=str(root / "work"),
        )
    )
    cfg.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    return cfg


def small_auto_margin() -> Any:
    """``margin='auto'`` from the small margin, and whatever may be noise moves it."""
    auto = partial(AutoMargin, start=MARGIN, margin_min=1e-3, errors=0.0)
    return mock.patch("cals_mm.losses._rules.AutoMargin", auto)


def train(cfg: Config) -> Runner:
    """Train under a name of its own, so that runs in one process share no message hub."""
    train.count = getattr(train, "count", 0) + 1  # type: ignore[attr-defined]
    cfg.experiment_name = f"tiny_{train.count}"  # type: ignore[attr-defined]
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def free_port() -> int:
    """A port on the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
