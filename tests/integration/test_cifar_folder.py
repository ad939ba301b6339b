"""The CIFAR-10 config on a folder of images per class, through the scripts, at one epoch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "cals" / "resnet18_cifar10.py"
NARROW = (
    "model.backbone.stem_channels=8",
    "model.backbone.base_channels=8",
    "model.head.in_channels=64",
    "train_cfg.max_epochs=1",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
)


def script(name: str, *arguments: object) -> None:
    process = subprocess.run(
        [sys.executable, ROOT / "tools" / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.returncode == 0, process.stderr[-2000:]


@pytest.mark.slow
def test_train_and_test(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    data = tmp_path / "data"
    for split, count in (("train", 10), ("test", 2)):
        for label in range(10):
            folder = data / split / f"class {label}"
            folder.mkdir(parents=True)
            for index in range(count):
                image = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / f"{index}.png"), image)
    work_dir = tmp_path / "work"
    common = ("--data-root", data, "--work-dir")
    script("train.py", CONFIG, *common, work_dir, "--cfg-options", *NARROW)
    (best,) = work_dir.glob("best_accuracy_top1_*.pth")
    out = tmp_path / "metrics.json"
    options = ("--out", out, "--cfg-options", *NARROW[:3])
    script("test.py", CONFIG, best, *common, tmp_path / "test", *options)
    metrics = json.loads(out.read_text())
    assert metrics["accuracy/top1"] == pytest.approx(metrics["calibration/accuracy"])
    assert metrics["calibration/NLL"] > 0
