"""AdaFocal and the region-adaptive loss, driven by the hook in whole trainings."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from cals_mm.core import AdaptiveFocus, RegionLagrangian
from tests.tiny import CLASSES, MARGIN, free_port, tiny_config, train
from tests.tiny_classifier import tiny_classifier

LOSSES = {
    "AdaFocalLoss": dict(type="AdaFocalLoss", num_bins=3),
    "CRaCLoss": dict(type="CRaCLoss", num_classes=len(CLASSES), margin=MARGIN, rho_interval=2),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def segmentation(root: Path, name: str, **changes) -> Config:
    cfg = tiny_config(root, **changes)
    cfg.model.decode_head.loss_decode = LOSSES[name]
    return cfg


def state_of(loss: nn.Module) -> nn.Module:
    return loss.focus if hasattr(loss, "focus") else loss.lagrangian


def fresh(name: str) -> nn.Module:
    if name == "AdaFocalLoss":
        return AdaptiveFocus(num_bins=3)
    return RegionLagrangian(len(CLASSES), margin=MARGIN, rho_interval=2)


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
    expected = fresh(name)
    before = {key: value.clone() for key, value in expected.state_dict().items()}
    by_hand(runner, expected)
    assert any(not torch.equal(before[key], value) for key, value in expected.state_dict().items())
    assert_same(state_of(runner.model.decode_head.loss_decode), expected)


@every_loss
def test_resumed_equals_uninterrupted(tmp_path: Path, name: str) -> None:
    states = []
    for work_dir, checkpoint in (("whole", None), ("resumed", "whole/epoch_1.pth")):
        cfg = segmentation(tmp_path, name, steps=3, work_dir=str(tmp_path / work_dir))
        if checkpoint:
            cfg.resume, cfg.load_from = True, str(tmp_path / checkpoint)
        states.append(train(cfg).model.state_dict())
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value), key


@every_loss
def test_curves_are_logged_and_drawn(tmp_path: Path, name: str) -> None:
    cfg = segmentation(tmp_path, name, steps=2, custom_hooks=[dict(type="CALSMultiplierHook")])
    cfg.vis_backends = [dict(type="LocalVisBackend")]
    cfg.visualizer = dict(type="Visualizer", vis_backends=cfg.vis_backends, name="tiny")
    train(cfg)
    (scalars,) = (tmp_path / "work").rglob("scalars.json")
    text = scalars.read_text()
    expected = {
        "AdaFocalLoss": ("adafocal/gamma/bin 2", "adafocal/edge/bin 1", "adafocal_cross_entropy"),
        "CRaCLoss": ("crac/lambda_boundary/car", "crac/rho_interior/sky", "crac_penalty_interior"),
    }
    for key in expected[name]:
        assert key in text, key
    assert list((tmp_path / "work").rglob(f"{name.removesuffix('Loss').lower()}_*.png"))


def test_a_classifier_follows_its_validation(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path)
    cfg.model.head.loss = LOSSES["AdaFocalLoss"]
    focus = train(cfg).model.head.loss_module.focus
    assert focus.num_updates == 2
    assert (focus.gamma != 1).all()


@every_loss
def test_training_without_the_hook_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is trained, but no hook updates its"):
        train(segmentation(tmp_path, name, custom_hooks=[]))


def share(rank: int, world_size: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    batches = []
    for number in range(5):
        logits = 6 * torch.randn(1, len(CLASSES), 8, 9, generator=generator)
        target = torch.randint(0, len(CLASSES), (1, 8, 9), generator=generator)
        target[:, : number + 1, :4] = 255
        target[:, 5:, 4:] = 2
        if number % world_size == rank:
            batches.append((logits, target))
    return batches


def learn(rank: int, world_size: int, name: str) -> nn.Module:
    state = fresh(name).double()
    for _ in range(3):
        statistics = state.start_dual_epoch()
        for logits, target in share(rank, world_size):
            statistics.update(logits, target != 255, target)
        state.step_(statistics.all_reduce_())
    return state


def run(rank: int, world_size: int, root: str, port: int) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world_size)
    for name in LOSSES:
        torch.save(learn(rank, world_size, name).state_dict(), f"{root}/{name}_{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    mp.spawn(run, (2, str(tmp_path), free_port()), nprocs=2, join=True)
    for name in LOSSES:
        expected = learn(0, 1, name).state_dict()
        start = fresh(name).state_dict()
        assert any(not torch.equal(start[key], value) for key, value in expected.items())
        for rank in range(2):
            state = torch.load(tmp_path / f"{name}_{rank}.pt")
            for key, value in expected.items():
                torch.testing.assert_close(state[key], value, rtol=1e-12, atol=0)
