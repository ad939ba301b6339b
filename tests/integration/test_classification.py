"""CALS on mmpretrain's classifiers: multipliers are those of the raw scores in every set-up."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

from cals_mm.runs.amp import use_mixed_precision
from cals_mm.runs.devices import prepare_devices
from tests.tiny import free_port, train
from tests.tiny_classifier import by_hand, lagrangian_of, tiny_classifier

LONG_TAIL = dict(type="LongTailMetric", class_counts=[200, 150, 90, 80, 70, 60, 50, 9, 8, 7])


@HOOKS.register_module()
class StretchHook(Hook):
    """Make the scores so far apart that their softmax underflows."""

    def before_train_epoch(self, runner: Runner) -> None:
        with torch.no_grad():
            runner.model.head.fc.weight.mul_(1e5)


def assert_updated(runner: Runner) -> torch.Tensor:
    """The first update is the one by hand from the present weights; returns the scores."""
    expected, scores = by_hand(runner)
    assert (expected.multipliers > 1e-3).any()
    multipliers = lagrangian_of(runner).multipliers
    torch.testing.assert_close(multipliers, expected.multipliers, rtol=1e-6, atol=0)
    assert int(lagrangian_of(runner).num_updates) == 1
    return scores


def test_update_equals_the_one_by_hand(tmp_path: Path) -> None:
    assert_updated(train(tiny_classifier(tmp_path, steps=1)))


def test_update_where_the_softmax_underflows(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=1, optim_wrapper__optimizer__lr=1e-6)
    cfg.custom_hooks.append(dict(type="StretchHook"))
    scores = assert_updated(train(cfg))
    assert (scores.amax(1) - scores.amin(1)).max() > 200
    assert (scores.softmax(1) == 0).any()


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole = train(tiny_classifier(tmp_path, steps=3)).model.state_dict()
    cfg = tiny_classifier(tmp_path, steps=3, work_dir=str(tmp_path / "resumed"))
    cfg.resume, cfg.load_from = True, str(tmp_path / "work" / "epoch_1.pth")
    resumed = train(cfg).model.state_dict()
    assert int(resumed["head.loss_module.lagrangian.num_updates"]) == 3
    assert not [key for key in whole if not torch.equal(whole[key], resumed[key])]


@pytest.mark.parametrize(
    "hook",
    [
        dict(type="mmengine.EMAHook"),
        dict(type="mmengine.EMAHook", update_buffers=True),
        dict(type="mmpretrain.EMAHook"),
    ],
    ids=["mmengine", "mmengine-buffers", "mmpretrain"],
)
def test_averaged_weights_are_what_the_multipliers_see(tmp_path: Path, hook: dict) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    cfg.custom_hooks.append(dict(hook, momentum=0.5))
    runner = train(cfg)
    # Its state_dict holds the averaged weights, and multipliers from before the validation.
    checkpoint = torch.load(tmp_path / "work" / "epoch_1.pth", weights_only=False)
    updated = lagrangian_of(runner).multipliers.clone()
    runner.model.load_state_dict(checkpoint["state_dict"])
    expected, _ = by_hand(runner)
    assert (expected.multipliers > 1e-3).any()
    torch.testing.assert_close(updated, expected.multipliers, rtol=1e-6, atol=0)


def test_second_validation_of_the_original_weights_counts_alone(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    cfg.custom_hooks.append(dict(type="mmpretrain.EMAHook", momentum=0.5, evaluate_on_origin=True))
    assert_updated(train(cfg))


def test_mixed_precision(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=2)
    use_mixed_precision(cfg)
    lagrangian = lagrangian_of(train(cfg))
    assert lagrangian.multipliers.dtype == torch.float32
    assert int(lagrangian.num_updates) == 2
    assert lagrangian.multipliers.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [
        dict(label_smoothing=0.1),
        dict(class_weight=[1.0 + k for k in range(10)]),
        dict(base_loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, num_classes=10)),
        dict(base_loss=dict(type="CrossEntropyLoss", use_soft=True)),
    ],
    ids=["smoothing", "class-weight", "base-smoothing", "base-soft"],
)
def test_mixup_and_cutmix(tmp_path: Path, loss: dict) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    augments = [dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)]
    cfg.model.train_cfg = dict(augments=augments)
    cfg.model.head.loss.update(loss)
    assert_updated(train(cfg))


def test_reweighted_base_loss(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    cfg.model.head.loss.base_loss = dict(type="SeesawLoss", num_classes=10)
    assert_updated(train(cfg))


def still_config(root: Path) -> Config:
    """A run whose weights never move, so that only the validation depends on the processes."""
    cfg = tiny_classifier(root, steps=2)
    cfg.optim_wrapper.optimizer.update(lr=0.0, momentum=0.0)
    cfg.model.backbone.norm_cfg = dict(type="GN", num_groups=2)
    cfg.val_evaluator = [*cfg.val_evaluator, LONG_TAIL]
    cfg.custom_hooks.append(dict(type="KeepLogitsHook"))  # to validate after the training too
    cfg.val_dataloader.batch_size = 1  # larger ones differ in the last bits of the forward pass
    return cfg


def run(rank: int, world_size: int, root: str, port: int) -> None:
    torch.set_num_threads(1)
    cfg = still_config(Path(root))
    if world_size > 1:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in ranks.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        prepare_devices(cfg, "pytorch")
    runner = train(cfg)
    metrics = runner.val_loop.run()
    model = runner.model.module if world_size > 1 else runner.model
    lagrangian = model.head.loss_module.lagrangian
    state = {key: value.double() for key, value in lagrangian.state_dict().items()}
    torch.save((state, metrics), f"{root}/result_{world_size}_{rank}.pt")


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    run(0, 1, str(tmp_path), 0)
    mp.spawn(run, (2, str(tmp_path), free_port()), nprocs=2, join=True)
    state, metrics = torch.load(tmp_path / "result_1_0.pt", weights_only=False)
    assert (state["multipliers"] > 1e-3).any()
    assert state["num_updates"] == 2
    for rank in range(2):
        other, values = torch.load(tmp_path / f"result_2_{rank}.pt", weights_only=False)
        for key, value in state.items():
            torch.testing.assert_close(other[key], value, rtol=1e-9, atol=1e-12)
        assert values == pytest.approx(metrics, rel=1e-9, nan_ok=True)


def test_training_images_are_counted_for_the_metric(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=1)
    cfg.val_evaluator = [*cfg.val_evaluator, dict(type="LongTailMetric", few_below=2)]
    cfg.custom_hooks.append(dict(type="ClassCountsHook"))
    runner = train(cfg)
    (metric,) = (m for m in runner.val_evaluator.metrics if hasattr(m, "class_counts"))
    # Every 19th of the first 300 scans, 84 of each digit.
    assert metric.class_counts.tolist() == [5, 4, 5, 2] + 6 * [0]
    assert "few" in metric.groups()
