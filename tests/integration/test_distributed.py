"""N processes give the multipliers and the metrics of one."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config

from cals_mm.core._reduce import leave_process_group
from cals_mm.runs.devices import prepare_devices
from tests.tiny import (
    CLASSES,
    MARGIN,
    free_port,
    make_images,
    small_auto_margin,
    tiny_config,
    train,
)

SIZE = 7  # odd: with 2 and 3 processes the sampler fills up with duplicates


LOSSES: dict[str, dict[str, Any]] = {
    "CALS": dict(type="CALSLoss", num_classes=len(CLASSES), margin="auto"),
    "CRaC": dict(type="CRaCLoss", num_classes=len(CLASSES), rho_interval=2),
    "AvUC": dict(type="AvUCLoss"),
}


def config(root: Path, name: str) -> Config:
    """A run whose weights never move, so that only the validation depends on the processes."""
    cfg = tiny_config(root, steps=2)
    cfg.optim_wrapper.optimizer.update(lr=0.0, momentum=0.0)
    for part in (cfg.model.backbone, cfg.model.decode_head):
        part.norm_cfg = dict(type="GN", num_groups=2)
    cfg.model.decode_head.loss_decode = LOSSES[name]
    cfg.val_evaluator = [dict(type="IoUMetric"), dict(type="CalibrationMetric")]
    cfg.val_dataloader.batch_size = 1
    return cfg


def run(rank: int, world_size: int, root: str, ports: list[int]) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR="127.0.0.1",
    )
    results = {}
    for name, port in zip(LOSSES, ports, strict=True):
        os.environ["MASTER_PORT"] = str(port)
        cfg = config(Path(root), name)
        prepare_devices(cfg, "pytorch" if world_size > 1 else "none")
        with small_auto_margin():
            runner = train(cfg)
        metrics = runner.val_loop.run()
        model = runner.model.module if world_size > 1 else runner.model
        learned = model.decode_head.loss_decode.state
        state = {key: value.double() for key, value in learned.state_dict().items()}
        results[name] = (state, metrics)
        del runner, model, learned
        leave_process_group()
    torch.save(results, f"{root}/result_{world_size}_{rank}.pt")


@pytest.mark.slow
def test_processes_agree(tmp_path: Path) -> None:
    make_images(tmp_path, "train", 6)
    make_images(tmp_path, "val", SIZE)
    make_images(tmp_path, "test", 2)
    results = {}
    for world_size in (1, 2, 3):
        ports = [free_port() for _ in LOSSES]
        mp.spawn(run, (world_size, str(tmp_path), ports), nprocs=world_size, join=True)
        for rank in range(world_size):
            path = tmp_path / f"result_{world_size}_{rank}.pt"
            results[world_size, rank] = torch.load(path, weights_only=False)
    expected = results[1, 0]
    assert all(state["num_updates"] == 2 for state, _ in expected.values())
    assert (expected["CALS"][0]["multipliers"] > 1e-3).any()
    assert expected["CALS"][0]["auto_margin.margin"] != MARGIN
    assert (expected["CRaC"][0]["multipliers"] > 1e-3).any()
    assert expected["AvUC"][0]["threshold"] != 1
    for ranks, found in results.items():
        for name, (state, metrics) in expected.items():
            other, values = found[name]
            for key, value in state.items():
                torch.testing.assert_close(other[key], value, rtol=1e-9, atol=1e-12)
            assert values.keys() == metrics.keys()
            for key, value in metrics.items():
                same = pytest.approx(value, rel=1e-9, nan_ok=True)
                assert values[key] == same, (name, ranks, key)
