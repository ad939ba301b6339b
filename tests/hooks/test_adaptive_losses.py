"""Compared losses that follow the validation, driven by the hook in whole trainings."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn

from tests.tiny import CLASSES, tiny_config, train
from tests.tiny_classifier import tiny_classifier

LOSSES = {
    "AdaFocalLoss": dict(type="AdaFocalLoss", num_bins=3),
    "AvUCLoss": dict(type="AvUCLoss", num_validations=2),
    "CRaCLoss": dict(type="CRaCLoss", num_classes=len(CLASSES), rho_interval=2),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def segmentation(root: Path, name: str, **changes) -> Config:
    cfg = tiny_config(root, **changes)
    cfg.model.decode_head.loss_decode = LOSSES[name]
    return cfg


def assert_same(state: nn.Module, expected: nn.Module) -> None:
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(state.state_dict()[key], value, rtol=1e-5, atol=1e-7)


@torch.no_grad()
def by_hand(runner: Runner, state: nn.Module) -> None:
    """One dual step from the validation logits of the runner's present weights."""
    runner.model.eval()
    statistics = state.start_dual_epoch()
    for batch in runner.val_dataloader:
        for sample in runner.model.val_step(batch):
            target = sample.gt_sem_seg.data
            statistics.update(sample.seg_logits.data[None], target != 255, target)
    state.step_(statistics)


@every_loss
def test_update_equals_the_one_by_hand(tmp_path: Path, name: str) -> None:
    runner = train(segmentation(tmp_path, name, steps=1))
    expected = MODELS.build(LOSSES[name]).state
    before = {key: value.clone() for key, value in expected.state_dict().items()}
    by_hand(runner, expected)
    assert any(not torch.equal(before[key], value) for key, value in expected.state_dict().items())
    assert_same(runner.model.decode_head.loss_decode.state, expected)


@every_loss
def test_curves_are_logged_and_drawn(tmp_path: Path, name: str) -> None:
    cfg = segmentation(tmp_path, name, steps=2, custom_hooks=[dict(type="CALSMultiplierHook")])
    cfg.vis_backends = [dict(type="LocalVisBackend")]
    cfg.visualizer = dict(type="Visualizer", vis_backends=cfg.vis_backends, name=name)
    train(cfg)
    (scalars,) = (tmp_path / "work").rglob("scalars.json")
    text = scalars.read_text()
    expected = {
        "AdaFocalLoss": ("adafocal/gamma/bin 2", "adafocal/edge/bin 1", "adafocal_cross_entropy"),
        "AvUCLoss": ("avuc/threshold", "avuc_cross_entropy", "avuc_term"),
        "CRaCLoss": ("crac/lambda_boundary/car", "crac/rho_interior/sky", "crac_penalty"),
    }
    for key in expected[name]:
        assert key in text, key
    assert list((tmp_path / "work").rglob(f"{name.removesuffix('Loss').lower()}_*.png"))


def test_a_classifier_follows_its_validation(tmp_path: Path) -> None:
    for name, curve in (("AdaFocalLoss", "gamma"), ("AvUCLoss", "threshold")):
        cfg = tiny_classifier(tmp_path, work_dir=str(tmp_path / name))
        cfg.model.head.loss = LOSSES[name]
        state = train(cfg).model.head.loss_module.state
        assert state.num_updates == 2
        assert (state.curves()[curve] != 1).all()


def test_fixed_thresholds_need_no_hook(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, steps=1, custom_hooks=[])
    cfg.model.decode_head.loss_decode = dict(type="AvUCLoss", thresholds=[0.1, 0.4])
    train(cfg)


@every_loss
def test_training_without_the_hook_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is trained, but no hook updates its"):
        train(segmentation(tmp_path, name, custom_hooks=[]))
