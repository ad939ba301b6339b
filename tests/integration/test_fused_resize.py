"""Losses before resizing, as users get them: the same curves and files as without, to rounding."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import cals_mm.datasets.segmentation  # noqa: F401, registers the demo's data set
from cals_mm.commands.train import main as train_by_tool
from cals_mm.datasets.street_scenes import DemoSpec, make_demo_set
from tests.tiny import tiny_config, train

ROOT = Path(__file__).resolve().parents[2]
TIMES = ("time", "data_time", "memory", "eta")


def curves(folder: Path) -> list[dict[str, float]]:
    """Everything in the log of a run but times."""
    (file,) = folder.glob("*/vis_data/scalars.json")
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in TIMES} for record in records]


def assert_same_curves(fused: Path, plain: Path, tolerance: float) -> None:
    ours, theirs = curves(fused), curves(plain)
    assert len(ours) == len(theirs) > 1
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        for key, value in a.items():
            close = math.isclose(value, b[key], rel_tol=tolerance, abs_tol=100 * tolerance)
            assert close or math.isnan(value) == math.isnan(b[key]) == 1, (key, value, b[key])


def test_the_tools_flag_changes_nothing_but_the_way(tmp_path, capfd):
    """A config of mmsegmentation with plain cross entropy, without anything of this package."""
    cfg = tiny_config(tmp_path, log_level="INFO")
    cfg.model.decode_head.loss_decode = dict(type="CrossEntropyLoss", loss_weight=0.7)
    cfg.model.auxiliary_head = dict(
        cfg.model.decode_head, loss_decode=dict(type="CrossEntropyLoss")
    )
    cfg.default_hooks.logger = dict(type="LoggerHook", interval=1)
    cfg.custom_hooks, cfg.custom_imports, cfg.work_dir = [], None, None
    for name, flags in (("fused", ["--fused"]), ("plain", [])):
        # MMEngine keeps one visualizer for each name of a config and second of a start.
        file = tmp_path / f"{name}.py"
        cfg.dump(file)
        train_by_tool([str(file), "--work-dir", str(tmp_path / name), *flags])
        shown = capfd.readouterr()
        told = [line for line in (shown.out + shown.err).splitlines() if "before resizing" in line]
        assert bool(told) == (name == "fused")
    assert any(
        "decode.acc_seg" in record and "aux.loss_ce" in record
        for record in curves(tmp_path / "fused")
    )
    assert_same_curves(tmp_path / "fused", tmp_path / "plain", 1e-4)
    first, second = (
        torch.load(tmp_path / name / "epoch_3.pth", weights_only=False)
        for name in ("fused", "plain")
    )
    assert first.keys() == second.keys()
    assert list(first["state_dict"]) == list(second["state_dict"])
    for key, value in first["state_dict"].items():
        torch.testing.assert_close(value, second["state_dict"][key], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cals", "ce"])
def test_the_demo_trains_alike(tmp_path, method):
    """The demo's config for a few steps, with multipliers and validation."""
    spec = dict(seed=5, height=48, num_train=20, num_held_out=20, num_test=20)
    root = make_demo_set(tmp_path / "data", DemoSpec(**spec), progress=False)
    for name, fused in (("fused", True), ("plain", False)):
        cfg = Config.fromfile(ROOT / "configs" / method / "deeplabv3_demo.py")
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.update(data_root=str(root), demo=spec)
        hooks = {hook.type: hook for hook in cfg.custom_hooks}
        if method == "cals":
            hooks["CALSMultiplierHook"].update(fused_resize=fused, draw=False)
        elif fused:
            cfg.custom_hooks.append(dict(type="FusedResizeHook"))
        cfg.train_cfg.update(max_epochs=1, val_interval=1)
        cfg.param_scheduler[0].end = 1
        cfg.default_hooks.logger = dict(type="LoggerHook", interval=1)
        cfg.default_hooks.checkpoint = None
        cfg.visualizer = None  # the config's is one for all runs of a process
        cfg.experiment_name = name
        cfg.work_dir = str(tmp_path / name)
        runner = train(cfg)
    assert runner.iter == 5
    assert_same_curves(tmp_path / "fused", tmp_path / "plain", 1e-3)
