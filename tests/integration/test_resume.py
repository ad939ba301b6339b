"""A run that was stopped and resumed equals the one that was not, to the last bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from cals_mm.frameworks.checkpoints import find_last_checkpoint
from tests.tiny import CLASSES, tiny_config, train


def assert_equal_states(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    different = [key for key in left if not torch.equal(left[key], right[key])]
    assert not different


LOSSES: dict[str, dict[str, Any] | None] = {
    "CALS": None,
    "CRaC": dict(type="CRaCLoss", num_classes=len(CLASSES), rho_interval=2),
    "AvUC": dict(type="AvUCLoss"),
}


def of_state(states: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    (key,) = (key for key in states if key.startswith("decode_head.loss") and key.endswith(name))
    return states[key]


@pytest.mark.parametrize("loop", ["epoch", "iter"])
@pytest.mark.parametrize("name", LOSSES)
def test_resumed_from_any_checkpoint_equals_uninterrupted(
    tmp_path: Path, name: str, loop: str
) -> None:
    steps = 4

    def config(**changes: Any) -> Config:
        cfg = tiny_config(tmp_path, loop, steps, **changes)
        if LOSSES[name]:
            cfg.model.decode_head.loss_decode = LOSSES[name]
        return cfg

    whole = train(config()).model.state_dict()
    if name == "AvUC":
        assert of_state(whole, "threshold") != 1, "a threshold that never moved proves nothing"
    else:
        moved = of_state(whole, ".multipliers") > 1e-3
        assert moved.any(), "multipliers that never moved would prove nothing"
    assert int(of_state(whole, "num_updates")) == steps
    checkpoints = sorted((tmp_path / "work").glob(f"{loop}_*.pth"))
    assert len(checkpoints) == steps
    for checkpoint in checkpoints if name == "CALS" else checkpoints[1:2]:
        cfg = config(work_dir=str(tmp_path / checkpoint.stem))
        cfg.resume, cfg.load_from = True, str(checkpoint)
        assert_equal_states(train(cfg).model.state_dict(), whole)


@pytest.mark.parametrize("loop", ["epoch", "iter"])
def test_resumed_with_a_data_worker(tmp_path: Path, loop: str) -> None:
    """Workers begin anew with each epoch, and so do their random numbers.

    In an iteration loop they live as long as the run, and nobody can put them back into the middle
    of theirs: there only the augmentation differs, so this test has none.
    """
    states = []
    for work_dir, checkpoint in (("whole", None), ("resumed", f"whole/{loop}_2.pth")):
        cfg = tiny_config(tmp_path, loop, steps=3, work_dir=str(tmp_path / work_dir))
        cfg.train_dataloader.num_workers = 1
        if loop == "iter":
            del cfg.train_dataloader.dataset.pipeline[2]
        if checkpoint:
            cfg.resume, cfg.load_from = True, str(tmp_path / checkpoint)
        states.append(train(cfg).model.state_dict())
    assert_equal_states(*states)


def test_checkpoint_after_validation_is_not_validated_twice(tmp_path: Path) -> None:
    """``save_best`` writes after the multipliers moved: resuming there must not move them again.

    MMEngine leaves the optimizer out of these checkpoints, so weights differ from then on.
    """
    train(tiny_config(tmp_path, steps=3, default_hooks__checkpoint__save_best="mIoU"))
    (checkpoint,) = (tmp_path / "work").glob("best_*.pth")
    cfg = tiny_config(tmp_path, steps=3, work_dir=str(tmp_path / "again"))
    cfg.resume, cfg.load_from = True, str(checkpoint)
    resumed = train(cfg).model.state_dict()
    assert int(resumed["decode_head.loss_decode.lagrangian.num_updates"]) == 3


def test_multiplier_curves_continue(tmp_path: Path) -> None:
    train(tiny_config(tmp_path, steps=2))
    cfg = tiny_config(tmp_path, steps=3, work_dir=str(tmp_path / "again"))
    cfg.resume, cfg.load_from = True, str(tmp_path / "work" / "epoch_2.pth")
    train(cfg)
    history = torch.load(tmp_path / "again" / "epoch_3.pth", weights_only=False)["cals_history"]
    assert history["steps"].tolist() == [2, 4]
    assert history["multipliers"].shape == (2, 4)


def test_kill_between_two_checkpoints(tmp_path: Path) -> None:
    """A process killed at once goes on from its last checkpoint as if nothing had happened."""
    steps = 6
    whole = train(tiny_config(tmp_path, "iter", steps)).model.state_dict()
    work_dir = tmp_path / "killed"
    cfg = tiny_config(tmp_path, "iter", steps, work_dir=str(work_dir))
    cfg.dump(tmp_path / "config.py")
    script = (
        "import sys, cals_mm; from mmengine.config import Config; from mmengine.runner import "
        "Runner; Runner.from_cfg(Config.fromfile(sys.argv[1])).train()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "config.py")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, OMP_NUM_THREADS=str(torch.get_num_threads())),
    )
    deadline = time.monotonic() + 120
    while not (work_dir / "iter_4.pth").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    cfg.resume, cfg.load_from = True, find_last_checkpoint(str(work_dir))
    assert cfg.load_from is not None
    assert_equal_states(train(cfg).model.state_dict(), whole)
    shutil.rmtree(work_dir)
