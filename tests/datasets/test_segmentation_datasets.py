import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mmseg", reason="mmseg is not installed: pip install 'cals-mm[onedl]'")

from mmengine.registry import DATASETS, DefaultScope
from mmseg.datasets import CityscapesDataset

import cals_mm.datasets.segmentation  # noqa: F401
from cals_mm.datasets.cityscapes_layout import CLASSES, HELD_OUT_CITIES

TRAIN = {"img_path": "leftImg8bit/train", "seg_map_path": "gtFine/train"}
VAL = {"img_path": "leftImg8bit/val", "seg_map_path": "gtFine/val"}
PIPELINE = [{"type": "mmseg.LoadImageFromFile"}, {"type": "mmseg.LoadAnnotations"}]


def build(type_, **kwargs):
    return DATASETS.build({"type": type_, "pipeline": [], **kwargs})


def names(dataset):
    return [Path(dataset.get_data_info(i)["img_path"]).stem for i in range(len(dataset))]


def cities(dataset):
    return {name.split("_")[0] for name in names(dataset)}


# --- Cityscapes and the demo -----------------------------------------------------------------


def test_mmseg_reads_the_demo_as_cityscapes(demo_root):
    dataset = CityscapesDataset(data_root=str(demo_root), data_prefix=TRAIN, pipeline=PIPELINE)
    assert len(dataset) == 40
    item = dataset[0]
    assert item["img"].shape == (48, 96, 3)
    assert set(np.unique(item["gt_seg_map"])) <= {*range(19), 255}
    assert dataset.metainfo["classes"] == CLASSES


@pytest.mark.parametrize("scope", ["mmengine", "mmseg", "mmpretrain"])
@pytest.mark.parametrize(
    "name", ["CityscapesCities", "DemoCityscapes", "PascalVOC12Fold", "CamVid11"]
)
def test_every_scope_finds_our_class(name, scope):
    if scope == "mmpretrain":
        pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")
    with (
        DefaultScope.overwrite_default_scope(scope),
        DATASETS.switch_scope_and_registry(None) as registry,
    ):
        assert registry.get(name).__module__.startswith("cals_mm.datasets.")


def test_splits_of_cityscapes_are_cities(demo_root):
    train, val, test, everything = (
        build("CityscapesCities", data_root=str(demo_root), data_prefix=TRAIN, split=split)
        for split in ("train", "val", "test", None)
    )
    assert cities(val) == set(HELD_OUT_CITIES)
    assert not cities(train) & set(HELD_OUT_CITIES)
    assert sorted(names(train) + names(val)) == names(everything) == names(test)


def test_cities_are_chosen_or_left_out(demo_root):
    arguments = {"data_root": str(demo_root), "data_prefix": TRAIN}
    assert cities(build("CityscapesCities", cities=["jena", "ulm"], **arguments)) == {"jena", "ulm"}
    left = cities(build("CityscapesCities", exclude_cities=["jena"], **arguments))
    assert "jena" not in left and len(left) == 9
    few = build("CityscapesCities", split="train", max_images=6, **arguments)
    assert len(few) == 6 and len(cities(few)) > 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cities": ["atlantis"]}, "unknown city 'atlantis' .* choose from aachen, bochum"),
        ({"exclude_cities": ["Ulm"]}, "unknown city 'Ulm'"),
        ({"cities": "ulm"}, "cities is the text 'ulm': give a list"),
        ({"cities": ["ulm"], "split": "train"}, "no image .* is in the split 'train'"),
        ({"split": "fit"}, "split is 'fit': choose from train, val, test"),
        ({"max_images": 0}, "max_images is 0: give a positive integer"),
    ],
)
def test_bad_selections_are_named(demo_root, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        build("CityscapesCities", data_root=str(demo_root), data_prefix=TRAIN, **options)
    assert "\n" not in str(caught.value)


def test_demo_makes_its_data_on_first_use(tmp_path):
    demo = {"height": 32, "num_train": 20, "num_held_out": 20, "num_test": 20}
    root = str(tmp_path / "demo")
    lazy = build("DemoCityscapes", data_root=root, data_prefix=VAL, demo=demo, lazy_init=True)
    assert not os.path.exists(root)
    lazy.full_init()
    assert len(lazy) == 20
    train = {"data_prefix": TRAIN, "demo": demo}
    assert len(build("DemoCityscapes", data_root=root, split="train", **train)) == 20
    with pytest.raises(ValueError, match="height 32 instead of 64"):
        build("DemoCityscapes", data_root=root, data_prefix=TRAIN, demo={**demo, "height": 64})


# --- missing data ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "options", "cure"),
    [
        ("CityscapesCities", {"data_prefix": TRAIN}, "csCreateTrainIdLabelImgs"),
        (
            "PascalVOC12Fold",
            {
                "data_prefix": {"img_path": "JPEGImages", "seg_map_path": "SegmentationClass"},
                "ann_file": "ImageSets/Segmentation/train.txt",
            },
            "VOCtrainval_11-May-2012.tar",
        ),
        (
            "CamVid11",
            {"data_prefix": {"img_path": "images/train", "seg_map_path": "annotations/train"}},
            "11-class CamVid",
        ),
    ],
)
def test_missing_data_are_explained_in_one_line(tmp_path, type_, options, cure):
    with pytest.raises(ValueError, match=cure) as caught:
        build(type_, data_root=str(tmp_path / "nowhere"), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path / "nowhere") in message and "`make demo` needs no data set" in message


def test_unconverted_labels_are_explained(demo_root, tmp_path):
    copy = shutil.copytree(demo_root, tmp_path / "cityscapes")
    for path in copy.rglob("*_labelTrainIds.png"):
        path.rename(path.with_name(path.name.replace("labelTrainIds", "labelIds")))
    with pytest.raises(
        ValueError, match=r"labelTrainIds\.png: expected .*csCreateTrainIdLabelImgs"
    ):
        build("CityscapesCities", data_root=str(copy), data_prefix=VAL)


# --- PASCAL VOC 2012 -----------------------------------------------------------------------------


@pytest.fixture
def voc_root(tmp_path, write_png):
    root = tmp_path / "VOC2012"
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    images = [f"2007_{number:06d}" for number in range(1464)]
    (lists / "train.txt").write_text("\n".join(images) + "\n")
    (root / "JPEGImages").mkdir()
    write_png(root / "SegmentationClass" / "one.png")
    for name in images:  # only presence is checked, so links to one picture will do
        (root / "JPEGImages" / f"{name}.jpg").symlink_to(root / "SegmentationClass" / "one.png")
        (root / "SegmentationClass" / f"{name}.png").symlink_to("one.png")
    return root


def test_voc_train_is_split_1171_to_293(voc_root):
    arguments = {
        "data_root": str(voc_root),
        "data_prefix": {"img_path": "JPEGImages", "seg_map_path": "SegmentationClass"},
        "ann_file": "ImageSets/Segmentation/train.txt",
    }
    fit = names(build("PascalVOC12Fold", split="train", **arguments))
    held_out = names(build("PascalVOC12Fold", split="val", **arguments))
    assert (len(fit), len(held_out)) == (1171, 293)
    assert len({*fit, *held_out}) == 1464
    other = names(build("PascalVOC12Fold", split="val", split_seed=1, **arguments))
    assert len(set(held_out) & set(other)) < 100
    assert len(build("PascalVOC12Fold", **arguments)) == 1464


# --- CamVid ---------------------------------------------------------------------------------------


def camvid(root, folder, **options):
    prefix = {"img_path": f"images/{folder}", "seg_map_path": f"annotations/{folder}"}
    return build("CamVid11", data_root=str(root), data_prefix=prefix, **options)


@pytest.fixture(params=[".jpg", ".png"])
def camvid_root(tmp_path, write_png, request):
    for sequence, frames in (("0001TP", 10), ("0016E5", 20)):
        for frame in range(frames):
            name = f"{sequence}_{30 * frame:06d}"
            write_png(tmp_path / f"images/train/{name}{request.param}", 90, channels=3)
            write_png(tmp_path / f"annotations/train/{name}.png", frame % 11)
    return tmp_path


def test_camvid_holds_out_the_centre_of_each_sequence(camvid_root):
    fit = names(camvid(camvid_root, "train", split="train"))
    held_out = names(camvid(camvid_root, "train", split="val"))
    assert Counter(name[:6] for name in held_out) == {"0001TP": 2, "0016E5": 4}
    assert sorted(fit + held_out) == names(camvid(camvid_root, "train"))
    for sequence in ("0001TP", "0016E5"):
        block = [name for name in held_out if name.startswith(sequence)]
        rest = [name for name in fit if name.startswith(sequence)]
        assert min(rest) < min(block) and max(block) < max(rest)
        assert not [name for name in rest if min(block) < name < max(block)]


def test_camvid_is_read_and_thinned(camvid_root):
    dataset = camvid(camvid_root, "train", split="train", max_images=5, pipeline=PIPELINE)
    assert len(dataset) == 5
    assert dataset[0]["img"].shape == (8, 16, 3)
    assert len(dataset.metainfo["classes"]) == len(dataset.metainfo["palette"]) == 11


def test_camvid_without_images_is_explained(tmp_path):
    for folder in ("images", "annotations"):
        (tmp_path / folder / "train").mkdir(parents=True)
    with pytest.raises(ValueError, match="no CamVid data"):
        camvid(tmp_path, "train")


@pytest.fixture
def real_camvid():
    folder = os.environ.get("CALS_MM_DATA")
    root = Path(folder or "") / "camvid"
    if not folder or not root.is_dir():
        pytest.skip("needs the real CamVid: set CALS_MM_DATA to a folder that holds camvid/")
    return root


def test_real_camvid_splits(real_camvid):
    fit = names(camvid(real_camvid, "train", split="train"))
    held_out = names(camvid(real_camvid, "train", split="val"))
    assert (len(fit), len(held_out)) == (294, 73)
    assert {name[:6] for name in fit} == {name[:6] for name in held_out}
    # The official val frames lie between 7920 and 8190 of 0016E5: nowhere near those held out.
    assert max(int(name[7:]) for name in held_out if name.startswith("0016E5")) < 7000
    assert len(camvid(real_camvid, "train", split="train", max_images=80)) == 80
    assert len(camvid(real_camvid, "val")) == 101


def test_real_camvid_held_out_shows_every_class(real_camvid):
    dataset = camvid(real_camvid, "train", split="val", pipeline=PIPELINE)
    seen = set().union(*(np.unique(item["gt_seg_map"]).tolist() for item in dataset))
    assert seen == {*range(11), 255}
