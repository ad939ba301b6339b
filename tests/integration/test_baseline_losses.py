"""Each loss CALS is compared with trains and validates in both frameworks."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmengine.runner import Runner

import cals_mm
from cals_mm.losses import StatefulLoss
from cals_mm.methods import METHODS
from tests.losses.baselines import EXPECTED
from tests.tiny import CLASSES, tiny_config
from tests.tiny_classifier import tiny_classifier

KEPT = {"CALSLoss", "SampleCALSLoss"}  # whose trainings are tested elsewhere
METHODS_OF = {
    method.loss.__name__: method
    for method in METHODS.values()
    if method.loss and method.loss.__name__ not in KEPT
}
OF_BOTH = [name for name, method in METHODS_OF.items() if method.only is None]


def loss_config(name: str) -> dict:
    arguments = EXPECTED[name][0] if name in EXPECTED else {}
    if "num_classes" in METHODS_OF[name].takes:
        arguments = dict(arguments, num_classes=len(CLASSES))
    return dict(arguments, type=name)


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


@pytest.mark.parametrize("name", METHODS_OF)
def test_in_mmsegmentation(name: str, tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    cfg.model.decode_head.loss_decode = config = loss_config(name)
    recorder = train(cfg, name)
    logged = f"decode.{MODELS.build(dict(config)).loss_name}"
    assert recorder.outputs[logged].isfinite()
    assert recorder.metrics["mIoU"] >= 0


@pytest.mark.parametrize("name", OF_BOTH)
def test_in_mmpretrain(name: str, tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    cfg.custom_hooks.insert(0, dict(type="KeepLogitsHook"))
    cfg.model.head.loss = loss_config(name)
    recorder = train(cfg, name)
    assert recorder.outputs["loss"].isfinite()
    assert 0 < recorder.metrics["calibration/ECE"] < 100  # percent
