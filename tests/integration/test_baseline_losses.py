"""Each loss CALS is compared with trains and validates in both frameworks."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

import cals_mm
from cals_mm.losses import StatefulLoss
from tests.losses.baselines import EXPECTED
from tests.tiny import CLASSES, tiny_config
from tests.tiny_classifier import tiny_classifier

LOSSES = {name: arguments for name, (arguments, _) in EXPECTED.items()}
LOSSES |= {"MMCELoss": {}, "AvUCLoss": {}, "MDCALoss": {}}
OF_IMAGES = {"NACLLoss": {}, "SVLSLoss": {}, "CRaCLoss": {"num_classes": len(CLASSES)}}


class Recorder(Hook):
    """Keeps the weights before training, what the last iteration logs, and the metrics."""

    def before_train(self, runner: Runner) -> None:
        self.before = {name: w.clone() for name, w in runner.model.named_parameters()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.outputs = outputs

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        self.metrics = metrics


def train(cfg: Config, name: str) -> Recorder:
    """One epoch and a validation; weights move and stay finite."""
    if not issubclass(getattr(cals_mm, name), StatefulLoss):
        cfg.custom_hooks.pop()  # the multiplier hook
    cfg.experiment_name = f"{cfg.default_scope}_{name}"
    runner = Runner.from_cfg(cfg)
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    weights = dict(runner.model.named_parameters())
    moved = [key for key, old in recorder.before.items() if not torch.equal(weights[key], old)]
    assert moved
    assert all(weight.isfinite().all() for weight in weights.values())
    return recorder


@pytest.mark.parametrize("name", LOSSES | OF_IMAGES)
def test_in_mmsegmentation(name: str, tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    arguments = (LOSSES | OF_IMAGES)[name]
    cfg.model.decode_head.loss_decode = dict(arguments, type=name)
    recorder = train(cfg, name)
    logged = f"decode.{getattr(cals_mm, name)(**arguments).loss_name}"
    assert recorder.outputs[logged].isfinite()
    assert recorder.metrics["mIoU"] >= 0


@pytest.mark.parametrize("name", LOSSES)
def test_in_mmpretrain(name: str, tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    cfg.custom_hooks.insert(0, dict(type="KeepLogitsHook"))
    cfg.model.head.loss = dict(LOSSES[name], type=name)
    recorder = train(cfg, name)
    assert recorder.outputs["loss"].isfinite()
    assert 0 < recorder.metrics["calibration/ECE"] < 100  # percent
