"""Scores of the loss and of the prediction, compared on a training sample."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cals_mm.frameworks.training_scores import compare_training_scores
from cals_mm.hooks._locate import locate_loss
from tests.tiny import tiny_config
from tests.tiny_classifier import tiny_classifier


def sliding(root: Path) -> Config:
    cfg = tiny_config(root)
    cfg.model.test_cfg = dict(mode="slide", crop_size=(16, 16), stride=(8, 8))
    return cfg


def flipped(root: Path) -> Config:
    cfg = tiny_config(root)
    cfg.train_dataloader.dataset.pipeline[2].prob = 1.0
    return cfg


def resized(root: Path) -> Config:
    """Training images of another size than the files."""
    cfg = tiny_config(root)
    resize = dict(type="RandomResize", scale=(96, 48), ratio_range=(0.5, 2.0), keep_ratio=True)
    crop = dict(type="RandomCrop", crop_size=(20, 28))
    cfg.train_dataloader.dataset.pipeline[2:2] = [resize, crop]
    return cfg


def sampled(root: Path) -> Config:
    cfg = tiny_config(root)
    cfg.model.decode_head.sampler = dict(type="OHEMPixelSampler", min_kept=10)
    return cfg


def mixed(root: Path) -> Config:
    cfg = tiny_classifier(root)
    cfg.model.train_cfg = dict(augments=[dict(type="Mixup", alpha=0.8)])
    return cfg


def states(model: torch.nn.Module) -> list:
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    legacy = np.random.get_state()[1].tolist()  # noqa: NPY002
    numbers = random.getstate(), legacy, torch.get_rng_state().tolist()
    return [weights, modes, numbers, getattr(model, "test_cfg", None)]


def build(cfg: Config) -> Runner:
    build.count = getattr(build, "count", 0) + 1
    cfg.experiment_name = f"scores_{build.count}"
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize(
    "make", [tiny_config, sliding, flipped, resized, sampled, tiny_classifier, mixed]
)
def test_they_are_the_same_and_nothing_is_changed(tmp_path: Path, make) -> None:
    runner = build(make(tmp_path))
    model = runner.model.train()
    name = locate_loss(model).name
    loader = runner.build_dataloader(runner.cfg.train_dataloader)
    before = states(model)
    assert compare_training_scores(model, name, loader) is True
    after = states(model)
    assert all(torch.equal(after[0][key], value) for key, value in before[0].items())
    assert after[1:] == before[1:]


def test_a_loader_without_samples_tells_nothing(tmp_path: Path) -> None:
    runner = build(tiny_config(tmp_path))
    assert compare_training_scores(runner.model, "decode_head.loss_decode", []) is None
