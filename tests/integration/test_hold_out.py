"""``tools/train.py CONFIG --cals`` with nothing else, on configs of the frameworks as they are.

Options only make them small: sizes, numbers of steps, the folder of the data.
"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

pytest.importorskip("mmseg", reason="mmseg is not installed: pip install 'cals-mm[onedl]'")
pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

import mmpretrain
import mmpretrain.datasets
import mmseg

from cals_mm.commands.test import main as evaluate
from cals_mm.commands.train import main as train

SEG = Path(mmseg.__file__).parent / ".mim" / "configs"
CLS = Path(mmpretrain.__file__).parent / ".mim" / "configs"
SIZE = (24, 32)
QUICK = ["train_dataloader.num_workers=0", "val_dataloader.num_workers=0"]
QUICK += ["train_dataloader.persistent_workers=False", "val_dataloader.persistent_workers=False"]
QUICK += ["test_dataloader.num_workers=0", "test_dataloader.persistent_workers=False"]
SEGMENTATION = [
    *QUICK,
    "model.pretrained=None",
    "model.backbone.depth=18",
    "model.backbone.stem_channels=8",
    "model.backbone.base_channels=8",
    "model.decode_head.in_channels=64",
    "model.decode_head.channels=8",
    "model.auxiliary_head.in_channels=32",
    "model.auxiliary_head.channels=8",
    "model.data_preprocessor.size=(24,32)",
    "train_cfg.val_interval=8",
    "train_dataloader.batch_size=4",
]


def cityscapes(root: Path) -> tuple[Path, list[str]]:
    rng = np.random.default_rng(0)
    for split, cities in (("train", 12), ("val", 2)):
        for city in range(cities):
            for frame in range(2):
                stem = f"{split}/c{city:02d}/c{city:02d}_{frame:06d}"
                label = rng.integers(0, 19, (3, 4)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
                image = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
                write(root / f"leftImg8bit/{stem}_leftImg8bit.png", image)
                write(root / f"gtFine/{stem}_gtFine_labelTrainIds.png", label)
    config = SEG / "fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"
    part = "train_dataloader.dataset.pipeline"
    small = [f"{part}.2.scale=(32,24)", f"{part}.3.crop_size=(24,32)"]
    small += [f"{split}_dataloader.dataset.pipeline.1.scale=(32,24)" for split in ("val", "test")]
    return config, [*SEGMENTATION, *small]


def voc(root: Path) -> tuple[Path, list[str]]:
    rng = np.random.default_rng(0)
    lists = {"train": range(12), "aug": range(12, 20), "val": range(20, 23)}
    for split, numbers in lists.items():
        for number in numbers:
            label = rng.integers(0, 21, (3, 4)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
            folder = "SegmentationClassAug" if split == "aug" else "SegmentationClass"
            write(root / f"JPEGImages/{number}.jpg", rng.integers(0, 256, (*SIZE, 3), np.uint8))
            write(root / f"{folder}/{number}.png", label)
        listing = root / f"ImageSets/Segmentation/{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(map(str, numbers)) + "\n")
    config = SEG / "fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py"
    small = [f"{split}_dataloader.dataset.pipeline.1.scale=(32,24)" for split in ("val", "test")]
    for number in (0, 1):
        part = f"train_dataloader.dataset.datasets.{number}.pipeline"
        small += [
            f"{part}.2.scale=(32,24)",
            f"{part}.3.crop_size=(24,32)",
            f"{part}.6.size=(24,32)",
        ]
    return config, [*SEGMENTATION, *small]


def folders(root: Path) -> tuple[Path, list[str]]:
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for label in range(3):
            for number in range(count):
                image = rng.integers(0, 256, (40, 40, 3), np.uint8)
                write(root / split / f"n{label:08d}" / f"{number}.JPEG", image)
        lines = [f"n{label:08d}/{k}.JPEG {label}" for label in range(3) for k in range(count)]
        (root / "meta").mkdir(exist_ok=True)
        (root / "meta" / f"{split}.txt").write_text("\n".join(lines))
    small = ["model.backbone.base_channels=4", "model.backbone.stem_channels=4"]
    small += ["model.head.in_channels=32", "train_dataloader.dataset.pipeline.1.scale=32"]
    small += ["train_dataloader.batch_size=11"]
    small += [f"{split}_dataloader.dataset.pipeline.1.scale=36" for split in ("val", "test")]
    small += [f"{split}_dataloader.dataset.pipeline.2.crop_size=32" for split in ("val", "test")]
    return CLS / "resnet/resnet18_8xb32_in1k.py", [*QUICK, *small]


def cifar(root: Path) -> tuple[Path, list[str]]:
    rng = np.random.default_rng(0)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        data = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        entry = {"data": data, "labels": [k % 10 for k in range(20)]}
        (folder / name).write_bytes(pickle.dumps(entry))
    names = {"label_names": [f"class {k}" for k in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    small = ["model.backbone.base_channels=4", "model.backbone.stem_channels=4"]
    return CLS / "resnet/resnet18_8xb16_cifar10.py", [*QUICK, *small, "model.head.in_channels=32"]


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


LAYOUTS: dict[str, tuple[Callable[[Path], tuple[Path, list[str]]], int, int]] = {
    "cityscapes": (cityscapes, 2, 24),  # one city of twelve
    "voc": (voc, 2, 20),
    "folders": (folders, 3, 36),  # one of each class
    "cifar": (cifar, 10, 100),
}


@pytest.fixture(autouse=True)
def unchecked_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmpretrain.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(mmpretrain.datasets.CIFAR10, "_load_meta", lambda self: None)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_flag_trains(layout: str, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    make, held_out, total = LAYOUTS[layout]
    config, small = make(tmp_path / "data")
    by_iteration = config.is_relative_to(SEG)
    if by_iteration:
        small += ["train_cfg.max_iters=8", "default_hooks.checkpoint.interval=4"]
    else:
        small += ["train_cfg.max_epochs=2"]
    where = ["--data-root", str(tmp_path / "data"), "--cfg-options", *small]
    first, last = ("iter_4.pth", "iter_8.pth") if by_iteration else ("epoch_1.pth", "epoch_2.pth")

    train([str(config), "--cals", "--work-dir", str(tmp_path / "run"), *where])
    log = "".join(capfd.readouterr())
    told = f"Held out for validation: {held_out} of {total} training samples"
    assert told in log and "the test set stays the test set" in log
    assert "To hold out otherwise: --hold-out FRACTION, --hold-out-by dir" in log
    updates, state = learned(tmp_path / "run" / last)
    assert updates >= 1 and state["auto_margin.gap"] != 0
    if layout == "cityscapes":  # 22 images in batches of 4
        assert "Validating every 6 iterations instead of every 8" in log

    resume = ["--resume", str(tmp_path / "run" / first), "--work-dir", str(tmp_path / "again")]
    # Two runs of one name and second would share MMEngine's message hub.
    train([str(config), "--cals", *resume, *where, f"experiment_name=again_{layout}"])
    assert told in "".join(capfd.readouterr())
    assert learned(tmp_path / "again" / last)[0] == updates

    original = Config.fromfile(config).test_dataloader.dataset
    trained = Config.fromfile(tmp_path / "run" / config.name).test_dataloader.dataset
    for key in ("type", "data_prefix", "ann_file", "split"):
        assert trained.get(key) == original.get(key)
    out = tmp_path / "metrics.json"
    checkpoint = str(tmp_path / "run" / last)
    evaluate([str(config), checkpoint, "--work-dir", str(tmp_path), "--out", str(out), *where])
    assert json.loads(out.read_text()).keys() & {"mIoU", "accuracy/top1"}


def learned(checkpoint: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """Number of updates, and the state of the multipliers."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    found = {key.split("lagrangian.")[1]: v for key, v in state.items() if "lagrangian." in key}
    return int(found["num_updates"]), found
