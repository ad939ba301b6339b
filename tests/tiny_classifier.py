"""A classification run of seconds, on scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

import cals_mm.datasets.classification  # noqa: F401, as a config's custom_imports does
from cals_mm.core import AugmentedLagrangian

MARGIN = 0.02  # small, for the logits of so short a training are close together


def tiny_classifier(root: Path, steps: int = 2, **changes: Any) -> Config:
    """Config of a small ResNet on a few digits, with CALS.

    Args:
        root: Folder of ``work_dir``.
        steps: Epochs of two iterations each.
        changes: Options as for ``--cfg-options``, dots written as double underscores.
    """
    flip = dict(type="RandomFlip", prob=0.5, direction="horizontal")

    def loader(split: str, every: int, batch_size: int) -> dict:
        train = split == "train"
        return dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=train),
            dataset=dict(
                type="DigitsLT",
                split=split,
                ratio=1,
                indices=list(range(0, 300, every)),
                pipeline=[flip] * train + [dict(type="PackInputs")],
            ),
        )

    evaluator = [dict(type="Accuracy"), dict(type="CalibrationMetric", draw=False)]
    cfg = Config(
        dict(
            default_scope="mmpretrain",
            custom_imports=dict(imports=["cals_mm", "cals_mm.datasets.classification"]),
            model=dict(
                type="ImageClassifier",
                data_preprocessor=dict(num_classes=10, mean=[73.3], std=[90.3], to_rgb=False),
                backbone=dict(
                    type="ResNet_CIFAR",
                    depth=18,
                    in_channels=1,
                    stem_channels=8,
                    base_channels=8,
                    num_stages=2,
                    strides=(1, 2),
                    dilations=(1, 1),
                    out_indices=(1,),
                    norm_cfg=dict(type="BN"),
                ),
                neck=dict(type="GlobalAveragePooling"),
                head=dict(
                    type="LinearClsHead",
                    num_classes=10,
                    in_channels=16,
                    loss=dict(type="CALSLoss", num_classes=10, margin=MARGIN, rho_interval=2),
                ),
            ),
            train_dataloader=loader("train", 19, 8),
            val_dataloader=loader("val", 43, 4),
            test_dataloader=loader("test", 60, 4),
            train_cfg=dict(by_epoch=True, max_epochs=steps),
            val_cfg=dict(),
            test_cfg=dict(),
            val_evaluator=evaluator,
            test_evaluator=evaluator,
            optim_wrapper=dict(
                type="OptimWrapper",
                optimizer=dict(type="SGD", lr=0.05, momentum=0.9),
                clip_grad=dict(max_norm=2.0),
            ),
            default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1)),
            custom_hooks=[
                dict(type="RandomStateHook"),
                dict(type="CALSMultiplierHook", draw=False),
            ],
            log_level="WARNING",
            randomness=dict(seed=3),
            work_dir=str(root / "work"),
        )
    )
    cfg.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    return cfg


def lagrangian_of(runner: Runner) -> AugmentedLagrangian:
    return runner.model.head.loss_module.lagrangian


@torch.no_grad()
def by_hand(runner: Runner) -> tuple[AugmentedLagrangian, torch.Tensor]:
    """First dual step from the head's scores at the runner's present weights, and the scores."""
    runner.model.eval()
    lagrangian = AugmentedLagrangian(10, margin=MARGIN, rho_interval=2)
    statistics = lagrangian.start_dual_epoch()
    scores = []
    for batch in runner.val_dataloader:
        inputs = runner.model.data_preprocessor(batch, False)["inputs"]
        scores.append(runner.model(inputs, mode="tensor"))
    statistics.update(torch.cat(scores))
    lagrangian.step_(statistics)
    return lagrangian, torch.cat(scores)
