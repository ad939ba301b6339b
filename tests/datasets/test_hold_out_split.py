"""Two parts of the data sets of mmseg, mmpretrain and text, wrapped or not."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS
from torch.utils.data import ConcatDataset, Subset

pytest.importorskip("mmseg", reason="mmseg is not installed: pip install 'cals-mm[onedl]'")
pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

import mmpretrain.datasets
import mmseg.datasets  # noqa: F401

from cals_mm.datasets.hold_out_split import HoldOutSplit
from tests.tiny_text import tiny_text


def write(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 4, 3), value, np.uint8))


def cityscapes(root: Path, cities: int = 12, frames: int = 5) -> dict:
    for city in range(cities):
        for frame in range(frames):
            stem = f"city{city:02d}/city{city:02d}_{frame:06d}_000019"
            write(root / f"leftImg8bit/train/{stem}_leftImg8bit.png")
            write(root / f"gtFine/train/{stem}_gtFine_labelTrainIds.png")
    return dict(
        type="mmseg.CityscapesDataset",
        data_root=str(root),
        data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"),
        pipeline=[],
    )


def voc(root: Path, names: list[str], listing: str = "train.txt") -> dict:
    for name in names:
        write(root / f"JPEGImages/{name}.jpg")
        write(root / f"SegmentationClass/{name}.png")
    file = root / "ImageSets" / "Segmentation" / listing
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(names) + "\n")
    return dict(
        type="mmseg.PascalVOCDataset",
        data_root=str(root),
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
        ann_file=f"ImageSets/Segmentation/{listing}",
        pipeline=[],
    )


def folders(root: Path, classes: int = 3, images: int = 20) -> dict:
    for label in range(classes):
        for image in range(images):
            write(root / f"class{label}" / f"{image:02d}.png", 10 * label + image)
    return dict(type="mmpretrain.CustomDataset", data_root=str(root), pipeline=[])


def parts(dataset: Any, **options: Any) -> tuple[HoldOutSplit, HoldOutSplit]:
    train, val = (HoldOutSplit(dataset, split, **options) for split in ("train", "val"))
    return train, val


def files(dataset: HoldOutSplit) -> list[str]:
    return [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]


def test_cities_stay_whole(tmp_path: Path) -> None:
    train, val = parts(cityscapes(tmp_path))
    assert len(val) == 5 and len(train) == 55
    assert len({Path(file).parent for file in files(val)}) == 1
    assert not {Path(f).parent for f in files(train)} & {Path(f).parent for f in files(val)}
    assert val.metainfo["classes"][0] == "road"


def test_where_the_data_lie_does_not_count(tmp_path: Path) -> None:
    chosen = []
    for place in ("here", "far/away"):
        _, val = parts(voc(tmp_path / place, [f"2007_{k:06d}" for k in range(40)]))
        chosen.append([Path(file).name for file in files(val)])
    assert len(chosen[0]) == 4 and chosen[0] == chosen[1]
    _, other = parts(voc(tmp_path / "here", [f"2007_{k:06d}" for k in range(40)]), seed=1)
    assert [Path(file).name for file in files(other)] != chosen[0]


def test_no_file_in_two_parts_under_wrappers(tmp_path: Path) -> None:
    """Two lists that share images, one of them repeated."""
    names = [f"{k:03d}" for k in range(40)]
    first = voc(tmp_path, names[:25], "train.txt")
    second = voc(tmp_path, names[15:], "aug.txt")
    repeated = dict(type="RepeatDataset", times=3, dataset=second)
    train, val = parts(dict(type="ConcatDataset", datasets=[first, repeated]))
    assert set(files(train)) & set(files(val)) == set()
    assert len(val) == len(set(files(val))) == 4
    assert len(set(files(train))) == 36
    counts = [files(train).count(file) for file in set(files(train))]
    assert sorted(set(counts)) == [1, 3, 4]


CHOSEN = {
    "a subset": lambda data: Subset(data, range(0, 60, 2)),
    "two subsets": lambda data: ConcatDataset(
        [Subset(data, range(20)), Subset(data, range(40, 50))]
    ),
    "a subset of one": lambda data: Subset(Subset(data, range(10, 60)), range(30)),
}


@pytest.mark.parametrize("kind", CHOSEN)
def test_selections_of_torch(tmp_path: Path, kind: str) -> None:
    dataset = CHOSEN[kind](DATASETS.build({**folders(tmp_path), "lazy_init": True}))
    train, val = parts(dataset)
    assert len(val) >= 2 and len(train) + len(val) == 30
    assert not set(files(train)) & set(files(val))
    shown = [int(Path(file).parent.name[-1]) for file in files(train)]
    assert train.get_gt_labels().tolist() == shown
    assert train.metainfo["classes"] == ("class0", "class1", "class2")


def test_classes_are_held_out_alike(tmp_path: Path) -> None:
    train, val = parts(folders(tmp_path))
    assert np.bincount(val.get_gt_labels()).tolist() == [2, 2, 2]
    assert np.bincount(train.get_gt_labels()).tolist() == [18, 18, 18]
    balanced = dict(type="ClassBalancedDataset", oversample_thr=0.9, dataset=folders(tmp_path))
    more, same = parts(balanced)
    assert files(same) == files(val)
    assert len(more) == 2 * len(train) and set(files(more)) == set(files(train))


def test_a_single_file_list(tmp_path: Path) -> None:
    dataset = folders(tmp_path / "images")
    lines = [f"class{label}/{k:02d}.png {label}" for label in range(3) for k in range(10)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    dataset.update(
        data_root="",
        data_prefix=str(tmp_path / "images"),
        ann_file=str(tmp_path / "list.txt"),
        with_label=True,
    )
    train, val = parts(dataset)
    assert np.bincount(val.get_gt_labels()).tolist() == [1, 1, 1]
    assert len(train) == 27


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """Batches as CIFAR-10 has them; one picture is there twice."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        data = rng.integers(0, 256, (10, 3072), dtype=np.uint8)
        data[1] = data[0]
        entry = {"data": data, "labels": [k % 5 for k in [0, 0, *range(2, 10)]]}
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcde")}))
    monkeypatch.setattr(mmpretrain.datasets.CIFAR10, "_check_integrity", lambda self: True)
    return dict(type="mmpretrain.CIFAR10", data_root=str(tmp_path), split="train", pipeline=[])


def test_pictures_without_a_file_are_told_apart_by_their_pixels(cifar: dict) -> None:
    train, val = parts(cifar, fraction=0.2)
    pixels = [{d.get_data_info(k)["img"].tobytes() for k in range(len(d))} for d in (train, val)]
    assert not pixels[0] & pixels[1]
    assert len(pixels[0]) + len(pixels[1]) == 45 and len(val) == len(pixels[1])
    assert set(val.get_gt_labels()) == set(range(5))


class Nameless:
    metainfo: dict = {"classes": ("a", "b")}

    def full_init(self) -> None: ...

    def get_data_info(self, index: int) -> dict:
        return {"gt_label": index % 2}

    def __len__(self) -> int:
        return 9


def test_samples_without_a_file_are_one_line() -> None:
    with pytest.raises(ValueError, match="a part of Nameless, whose samples name no file") as error:
        HoldOutSplit(Nameless(), "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(split="fit"), "split must be 'train' or 'val', got 'fit'"),
        (dict(split="val", fraction=1.5), "hold_out must be a fraction between 0 and 1, got 1.5"),
    ],
)
def test_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HoldOutSplit(Nameless(), **options)


def test_it_is_read_when_it_is_needed(tmp_path: Path) -> None:
    dataset = HoldOutSplit(dict(cityscapes(tmp_path), lazy_init=True), "val", lazy_init=True)
    assert dataset._indices is None
    assert len(dataset) == 5


def test_texts(tmp_path: Path) -> None:
    cfg = tiny_text(tmp_path)
    whole = DATASETS.build(cfg.train_dataloader.dataset)
    train, val = parts(cfg.train_dataloader.dataset)
    assert len(train) + len(val) == len(whole) and len(val) == 20
    assert set(val.get_gt_labels()) == set(range(20))
    paths = [whole.get_data_info(index)["text_path"] for index in range(len(whole))]
    for part in (train, val):
        for index, kept in enumerate(part.indices):
            assert part.get_data_info(index)["text_path"] == paths[kept]
            assert part[index].number == kept
            assert part.lengths[index] == whole.lengths[kept]
    assert not hasattr(HoldOutSplit(Nameless(), "val", by=None, lazy_init=True), "lengths")
