"""Multipliers of each sample in whole trainings."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.runner import Runner

pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

from cals_mm.core import SampleMultipliers
from cals_mm.runs.devices import prepare_devices
from tests.tiny import free_port, train
from tests.tiny_classifier import MARGIN, tiny_classifier
from tests.tiny_text import TEST_PER_GROUP, TRAIN_PER_GROUP, VAL_SIZE, tiny_text

SIZE = 16
"""Digits that the tiny classifier trains on."""
DATASET = "train_dataloader__dataset__"


def tiny(root: Path, steps: int = 2, num_samples: int = SIZE, **changes) -> Config:
    cfg = tiny_classifier(root, steps, **changes)
    cfg.model.head.loss = dict(
        type="SampleCALSLoss",
        num_classes=10,
        num_samples=num_samples,
        margin=MARGIN,
        rho_interval=2,
    )
    cfg.custom_hooks = [
        dict(type="RandomStateHook"),
        dict(type="KeepLogitsHook"),
        dict(type="SampleMultiplierHook", draw=False),
    ]
    return cfg


def still(cfg: Config) -> Config:
    """Weights that never move, and a forward pass that depends on a sample alone."""
    cfg.optim_wrapper.optimizer.update(lr=0.0, momentum=0.0)
    cfg.model.backbone.norm_cfg = dict(type="GN", num_groups=2)
    cfg.train_dataloader.dataset.pipeline = [dict(type="PackInputs")]
    cfg.train_dataloader.batch_size = 1  # larger ones differ in the last bits
    return cfg


def state_of(runner: Runner) -> SampleMultipliers:
    model = getattr(runner.model, "module", runner.model)
    return model.head.loss_module.lagrangian


@torch.no_grad()
def by_hand(runner: Runner, state: SampleMultipliers, epochs: int) -> None:
    dataset = runner.train_dataloader.dataset
    batch = {"inputs": [], "data_samples": []}
    for index in range(len(dataset)):
        for key, value in dataset[index].items():
            batch[key].append(value)
    inputs = runner.model.data_preprocessor(batch, False)["inputs"]
    scores = torch.cat([runner.model(one[None], mode="tensor") for one in inputs])
    for _ in range(epochs):
        statistics = state.start_dual_epoch()
        statistics.update(torch.arange(len(dataset)), state.violation(scores))
        state.step_(statistics)


def test_updates_equal_those_by_hand(tmp_path: Path) -> None:
    runner = train(still(tiny(tmp_path, steps=4)))
    expected = SampleMultipliers(SIZE, 10, margin=MARGIN, rho_interval=2)
    by_hand(runner, expected, 4)
    assert expected.multipliers.std(0).max() > 1e-2 and (expected.rho > 1).any()
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(state_of(runner).state_dict()[key], value, rtol=1e-5, atol=1e-5)


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole = train(tiny(tmp_path, 3)).model.state_dict()
    cfg = tiny(tmp_path, 3, work_dir=str(tmp_path / "resumed"))
    cfg.resume, cfg.load_from = True, str(tmp_path / "work" / "epoch_2.pth")
    resumed = train(cfg).model.state_dict()
    assert int(whole["head.loss_module.lagrangian.num_updates"]) == 3
    assert (whole["head.loss_module.lagrangian.multipliers"] > 1e-3).any()
    assert not [key for key in whole if not torch.equal(whole[key], resumed[key])]
    checkpoint = torch.load(tmp_path / "resumed" / "epoch_3.pth", weights_only=False)
    assert checkpoint["cals_history"]["multipliers"].shape == (3, 10)


def test_without_validation_and_with_the_picture(tmp_path: Path) -> None:
    cfg = tiny(tmp_path)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.custom_hooks[-1].draw = True
    cfg.vis_backends = [dict(type="LocalVisBackend")]
    cfg.visualizer = dict(type="UniversalVisualizer", vis_backends=cfg.vis_backends)
    state = state_of(train(cfg))
    assert int(state.num_updates) == 2
    (scalars,) = (tmp_path / "work").rglob("scalars.json")
    assert '"samplecals/lambda_mean": ' in scalars.read_text()
    assert list((tmp_path / "work").rglob("samplecals_multipliers*.png"))


def test_checkpoint_without_the_loss(tmp_path: Path) -> None:
    """The table of multipliers is left out where cross entropy tests, and weights are the same."""
    trained = train(tiny(tmp_path)).model.state_dict()
    cfg = tiny_classifier(tmp_path)
    cfg.model.head.loss = dict(type="CrossEntropyLoss")
    cfg.custom_hooks = [dict(type="KeepLogitsHook")]
    cfg.load_from = str(tmp_path / "work" / "epoch_2.pth")
    cfg.experiment_name = "without_the_loss"
    runner = Runner.from_cfg(cfg)
    assert 0 <= runner.test()["accuracy/top1"] <= 100
    assert not any("lagrangian" in key for key in runner.model.state_dict())
    for key, value in runner.model.state_dict().items():
        assert torch.equal(trained[key], value), key


def test_text(tmp_path: Path) -> None:
    cfg = tiny_text(tmp_path, "ce/gpcnn_20newsgroups")
    # A fifth of all posts are the test split.
    size = round(0.8 * 20 * (TRAIN_PER_GROUP + TEST_PER_GROUP)) - VAL_SIZE
    cfg.model.head.loss = dict(
        type="SampleCALSLoss", num_classes=20, num_samples=size, margin=MARGIN
    )
    cfg.custom_hooks.append(dict(type="SampleMultiplierHook", draw=False))
    state = train(cfg).model.head.loss_module.lagrangian
    assert (state.multipliers > 1e-3).any(1).all(), "every text was visited"
    assert state.multipliers.unique().numel() > size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(num_samples=15), "num_samples is 15, but the training set has 16 samples"),
        (dict(custom_hooks=[]), "nobody tells it which samples"),
        (dict(custom_hooks=[dict(type="CALSMultiplierHook")]), "does not drive SampleCALSLoss"),
        (
            dict(train_cfg=dict(by_epoch=False, max_iters=4, val_interval=2)),
            "needs epochs, but train_cfg is a IterBasedTrainLoop",
        ),
        (dict(model__train_cfg=dict(augments=dict(type="Mixup", alpha=0.8))), "leave out mixup"),
        (
            {DATASET + "pipeline": [dict(type="PackInputs", meta_keys=["ori_shape"])]},
            "add 'sample_idx' to the meta_keys",
        ),
    ],
)
def test_one_line_errors(tmp_path: Path, change: dict, message: str) -> None:
    size = change.pop("num_samples", SIZE)
    hooks = change.pop("custom_hooks", None)
    loop = change.pop("train_cfg", None)
    cfg = tiny(tmp_path, num_samples=size, **change)
    if hooks is not None:
        cfg.custom_hooks = hooks
    if loop is not None:
        cfg.train_cfg = loop
        cfg.train_dataloader.sampler = dict(type="InfiniteSampler")
    with pytest.raises(ValueError, match=message) as caught:
        train(cfg)
    assert "\n" not in str(caught.value)


def test_data_sets_with_equal_numbers_are_refused(tmp_path: Path) -> None:
    cfg = tiny(tmp_path)
    one = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type="ConcatDataset", datasets=[one, one])
    with pytest.raises(ValueError, match="ConcatDataset numbers the samples of each part from 0"):
        train(cfg)


def test_repeated_data_set_has_the_numbers_of_the_one(tmp_path: Path) -> None:
    cfg = tiny(tmp_path, steps=1)
    cfg.train_dataloader.dataset = dict(
        type="RepeatDataset", times=2, dataset=cfg.train_dataloader.dataset
    )
    multipliers = state_of(train(cfg)).multipliers
    assert multipliers.shape == (SIZE, 10) and (multipliers > 1e-3).any(1).all()


def test_what_fills_up_the_last_round_is_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two processes has 7 of 15 samples, and what comes then are repetitions."""
    monkeypatch.setattr("cals_mm.frameworks.sampling.get_dist_info", lambda: (1, 2))
    cfg = still(tiny(tmp_path, 1, SIZE - 1, train_dataloader__dataset__indices=list(range(15))))
    moved = (state_of(train(cfg)).multipliers > 1e-6).any(1)
    assert int(moved.sum()) == 7


def run(rank: int, world_size: int, root: str, port: int) -> None:
    torch.set_num_threads(1)
    # An odd number of samples: a second process visits one that the first has visited.
    cfg = still(tiny(Path(root), 3, SIZE - 1, train_dataloader__dataset__indices=list(range(15))))
    if world_size > 1:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in ranks.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        prepare_devices(cfg, "pytorch")
    torch.save(state_of(train(cfg)).state_dict(), f"{root}/state_{world_size}_{rank}.pt")


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    run(0, 1, str(tmp_path), 0)
    mp.spawn(run, (2, str(tmp_path), free_port()), nprocs=2, join=True)
    expected = torch.load(tmp_path / "state_1_0.pt")
    assert (expected["multipliers"] > 1e-3).any(1).all() and (expected["rho"] > 1).any()
    for rank in range(2):
        state = torch.load(tmp_path / f"state_2_{rank}.pt")
        for key, value in expected.items():
            assert torch.equal(state[key], value), key
