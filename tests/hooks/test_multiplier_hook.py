"""The multipliers after a run are those that the validation logits give by hand."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from cals_mm.core import AugmentedLagrangian
from cals_mm.runs.amp import use_mixed_precision
from tests.tiny import CLASSES, MARGIN, SIZE, tiny_config, train

LOSS = "model__decode_head__loss_decode"
CE = dict(type="CrossEntropyLoss", avg_non_ignore=True)


@HOOKS.register_module()
class PoisonHook(Hook):
    """Put a NaN into the logits of the second validation batch."""

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if batch_idx == 1:
            outputs[0].seg_logits.data[0, -1, -1] = float("nan")


def lagrangian_of(runner: Runner) -> AugmentedLagrangian:
    return runner.model.decode_head.loss_decode.lagrangian


@torch.no_grad()
def by_hand(runner: Runner, lagrangian: AugmentedLagrangian) -> None:
    """One dual step from the validation logits of the runner's present weights."""
    runner.model.eval()
    statistics = lagrangian.start_dual_epoch()
    for batch in runner.val_dataloader:
        for sample in runner.model.val_step(batch):
            mask = sample.gt_sem_seg.data != 255
            statistics.update(sample.seg_logits.data[None], mask)
    lagrangian.step_(statistics)


def assert_first_update(runner: Runner) -> None:
    expected = AugmentedLagrangian(len(CLASSES), margin=MARGIN, rho_interval=2)
    by_hand(runner, expected)
    assert (expected.multipliers > 1e-3).any()
    torch.testing.assert_close(
        lagrangian_of(runner).multipliers, expected.multipliers, rtol=1e-6, atol=0
    )
    assert int(lagrangian_of(runner).num_updates) == 1


def test_update_equals_the_one_by_hand(tmp_path: Path) -> None:
    assert_first_update(train(tiny_config(tmp_path, steps=1)))


@pytest.mark.parametrize("update_buffers", [False, True])
def test_ema_weights_are_what_the_multipliers_see(tmp_path: Path, update_buffers: bool) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    cfg.custom_hooks.append(dict(type="EMAHook", momentum=0.5, update_buffers=update_buffers))
    runner = train(cfg)
    updated = lagrangian_of(runner).multipliers.clone()
    # This checkpoint was written before the validation; its state_dict holds averaged weights.
    checkpoint = torch.load(tmp_path / "work" / "epoch_1.pth", weights_only=False)
    runner.model.load_state_dict(checkpoint["state_dict"])
    expected = AugmentedLagrangian(len(CLASSES), margin=MARGIN, rho_interval=2)
    by_hand(runner, expected)
    assert (expected.multipliers > 1e-3).any()
    torch.testing.assert_close(updated, expected.multipliers, rtol=1e-6, atol=0)


@pytest.mark.parametrize("update_buffers", [False, True])
def test_ema_resumed_equals_uninterrupted(tmp_path: Path, update_buffers: bool) -> None:
    states = []
    for work_dir, checkpoint in (("whole", None), ("resumed", "whole/epoch_1.pth")):
        cfg = tiny_config(tmp_path, steps=3, work_dir=str(tmp_path / work_dir))
        cfg.custom_hooks.append(dict(type="EMAHook", momentum=0.5, update_buffers=update_buffers))
        if checkpoint:
            cfg.resume, cfg.load_from = True, str(tmp_path / checkpoint)
        states.append(train(cfg).model.state_dict())
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value), key


@pytest.mark.parametrize("loop", ["epoch", "iter"])
def test_one_update_per_validation(tmp_path: Path, loop: str) -> None:
    runner = train(tiny_config(tmp_path, loop, steps=3))
    assert int(lagrangian_of(runner).num_updates) == 3


def test_mixed_precision(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, steps=2)
    use_mixed_precision(cfg)
    runner = train(cfg)
    assert lagrangian_of(runner).multipliers.dtype == torch.float32
    assert int(lagrangian_of(runner).num_updates) == 2
    assert torch.isfinite(lagrangian_of(runner).multipliers).all()


def test_gradient_accumulation(tmp_path: Path) -> None:
    assert_first_update(train(tiny_config(tmp_path, steps=1, optim_wrapper__accumulative_counts=2)))


def test_validation_outside_training_changes_nothing(tmp_path: Path) -> None:
    runner = train(tiny_config(tmp_path, steps=1))
    before = lagrangian_of(runner).multipliers.clone()
    runner.val()
    runner.test()
    assert torch.equal(lagrangian_of(runner).multipliers, before)
    assert int(lagrangian_of(runner).num_updates) == 1


def test_start_from_a_cross_entropy_checkpoint_and_back(tmp_path: Path) -> None:
    ce = tiny_config(tmp_path, steps=1, work_dir=str(tmp_path / "ce"))
    ce.model.decode_head.loss_decode = CE
    ce.custom_hooks = []
    train(ce)
    cals = tiny_config(tmp_path, steps=1)
    cals.load_from = str(tmp_path / "ce" / "epoch_1.pth")
    assert int(lagrangian_of(train(cals)).num_updates) == 1

    results = []
    for loss in (dict(cals.model.decode_head.loss_decode), CE):
        cfg = tiny_config(tmp_path, work_dir=str(tmp_path / "test"))
        cfg.model.decode_head.loss_decode = loss
        cfg.custom_hooks = []
        cfg.load_from = str(tmp_path / "work" / "epoch_1.pth")
        cfg.experiment_name = f"test_{loss['type']}"
        results.append(Runner.from_cfg(cfg).test())
    assert results[0] == pytest.approx(results[1], nan_ok=True)


def test_void_validation_warns_and_changes_nothing(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    for label in (tmp_path / "labels" / "val").iterdir():
        cv2.imwrite(str(label), np.full(SIZE, 255, np.uint8))
    with pytest.warns(UserWarning, match="no valid sample"):
        runner = train(cfg)
    assert int(lagrangian_of(runner).num_updates) == 0


def test_curves_are_logged_and_drawn(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, steps=2, custom_hooks=[dict(type="CALSMultiplierHook")])
    cfg.vis_backends = [dict(type="LocalVisBackend")]
    cfg.visualizer = dict(type="Visualizer", vis_backends=cfg.vis_backends, name="tiny")
    train(cfg)
    (scalars,) = (tmp_path / "work").rglob("scalars.json")
    text = scalars.read_text()
    for name in ("cals/lambda/road", "cals/rho/sky", "cals_penalty", "cals_violated"):
        assert name in text
    (picture,) = (tmp_path / "work").rglob("cals_multipliers*.png")
    assert picture.stat().st_size > 1000


def changed(root: Path, **changes: Any) -> Config:
    return tiny_config(root, steps=1, **changes)


def same_files(root: Path) -> Config:
    cfg = changed(root)
    cfg.val_dataloader.dataset.data_prefix = dict(cfg.test_dataloader.dataset.data_prefix)
    return cfg


def two_losses(root: Path) -> Config:
    cfg = changed(root)
    cfg.model.decode_head.loss_decode = [
        dict(cfg.model.decode_head.loss_decode, loss_name=f"loss_{k}") for k in (1, 2)
    ]
    return cfg


def no_loss(root: Path) -> Config:
    cfg = changed(root)
    cfg.model.decode_head.loss_decode = CE
    return cfg


def sigmoid(root: Path) -> Config:
    cfg = changed(root, **{LOSS + "__num_classes": 2})
    cfg.model.decode_head.update(num_classes=2, out_channels=1, threshold=0.5)
    return cfg


def no_validation(root: Path) -> Config:
    cfg = changed(root)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    return cfg


@pytest.mark.parametrize(
    "make, message",
    [
        (no_loss, "found no CALSLoss in the model: set .*loss_decode"),
        (lambda root: changed(root, custom_hooks=[]), "no hook updates its multipliers: add"),
        (two_losses, r"2 CALSLoss modules .*module='...'"),
        (same_files, "3 validation files .* test files too.*data=True.* or --allow-test-data$"),
        (no_validation, "needs validation: set val_dataloader"),
        (sigmoid, "1 channel"),
        (lambda root: changed(root, **{LOSS + "__num_classes": 5}), "4 classes; set num_classes=4"),
        (
            lambda root: changed(root, custom_hooks=[dict(type="CALSMultiplierHook", module="x")]),
            "module='x' is no CALSLoss; there is: decode_head.loss_decode",
        ),
        (
            lambda root: changed(root, model__decode_head__ignore_index=254),
            "label 255 is outside 0..3",
        ),
    ],
)
def test_wrong_setups_get_one_line(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        train(make(tmp_path))
    assert "\n" not in str(error.value)


def test_test_data_are_used_only_on_request(tmp_path: Path) -> None:
    cfg = same_files(tmp_path)
    cfg.custom_hooks = [dict(type="CALSMultiplierHook", allow_test_data=True, draw=False)]
    assert int(lagrangian_of(train(cfg)).num_updates) == 1


@pytest.mark.parametrize("reaction", ["error", "keep"])
def test_nonfinite_logits_keep_the_multipliers(tmp_path: Path, reaction: str) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    cfg.custom_hooks = [
        dict(type="PoisonHook"),
        dict(type="CALSMultiplierHook", on_nonfinite=reaction, draw=False),
    ]
    if reaction == "keep":
        assert int(lagrangian_of(train(cfg)).num_updates) == 0
    else:
        with pytest.raises(ValueError, match="validation batch 1 of process 0: .*NaN or Inf"):
            train(cfg)
        assert (tmp_path / "work" / "epoch_1.pth").exists(), "nothing is lost"
