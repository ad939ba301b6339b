import pickle
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip(
    "mmpretrain", reason="mmpretrain is not installed: pip install 'cals-mm[onedl]'"
)

from mmengine.registry import DATASETS, DefaultScope

from cals_mm.datasets import classification
from cals_mm.datasets.class_splits import (
    long_tail_counts,
    long_tail_indices,
    stratified_held_out,
)
from cals_mm.hooks.class_counts_hook import count_classes


def build(type_, **kwargs):
    return DATASETS.build({"type": type_, "pipeline": [], **kwargs})


def paths(dataset):
    return [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]


def labels(dataset):
    return Counter(int(label) for label in dataset.get_gt_labels())


def write_images(folder: Path, count: int, suffix: str = ".png", value: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = np.full((32, 32, 3), (value, 0, 255), np.uint8)
        assert cv2.imwrite(str(folder / f"{index}{suffix}"), image)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Ten classes in folders, as CIFAR is often published."""
    root = tmp_path_factory.mktemp("folders")
    for label in range(10):
        write_images(root / "train" / f"class{label}", 10)
        write_images(root / "test" / f"class{label}", 2)
    return root


# --- rules -----------------------------------------------------------------------------------


def test_held_out_part_is_stratified_and_pinned():
    array = np.repeat([0, 1, 2], (10, 20, 1))
    held_out = stratified_held_out(array, 0.1, seed=0)
    assert [held_out[array == k].sum() for k in range(3)] == [1, 2, 0]
    # A change of the rule would silently mix the held-out images of old runs into training.
    assert np.flatnonzero(held_out).tolist() == PINNED
    assert (stratified_held_out(array, 0.1, seed=1) != held_out).any()


PINNED = [4, 10, 20]


@pytest.mark.parametrize("fraction", [0, 1, -1])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match="held-out fraction"):
        stratified_held_out([0, 1], fraction)


def test_long_tail_of_cifar100():
    counts = long_tail_counts(500, 100, 100)
    assert (counts[0], counts[-1]) == (500, 5)
    assert (np.diff(counts) <= 0).all()


def test_long_tail_keeps_a_subset_for_a_larger_ratio():
    array = np.repeat(np.arange(5), 50)
    mild, steep = (set(long_tail_indices(array, 5, ratio, seed=3)) for ratio in (5, 25))
    assert steep < mild
    with pytest.raises(ValueError, match=r"ratio is 0\.5"):
        long_tail_counts(10, 2, 0.5)


# --- digits ----------------------------------------------------------------------------------


def test_digits_have_a_long_tail_and_balanced_val_and_test():
    train, val, test = (build("DigitsLT", split=split) for split in ("train", "val", "test"))
    assert [labels(train)[k] for k in range(10)] == [84, 54, 35, 22, 14, 9, 6, 4, 2, 1]
    assert set(labels(val).values()) == {30}
    assert set(labels(test).values()) == {60}
    assert train[0]["img"].shape == (8, 8, 1)
    assert train[0]["img"].dtype == np.uint8


def test_digits_of_the_splits_are_different_scans():
    seen = [
        {build_info["img"].tobytes() for build_info in map(dataset.get_data_info, range(300))}
        for dataset in (build("DigitsLT", split=s, ratio=1) for s in ("train", "val", "test"))
    ]
    assert not (seen[0] & seen[1]) | (seen[1] & seen[2]) | (seen[0] & seen[2])


def test_unknown_split():
    with pytest.raises(ValueError, match="split is 'dev': choose from train, val, test"):
        build("DigitsLT", split="dev")


# --- CIFAR -----------------------------------------------------------------------------------


def test_folders_of_images(folders):
    train, val, test = (
        build("CIFAR10Split", data_root=str(folders), split=split)
        for split in ("train", "val", "test")
    )
    assert (len(train), len(val), len(test)) == (90, 10, 20)
    assert set(labels(val).values()) == {1}
    assert sorted(paths(train) + paths(val)) == sorted(map(str, folders.glob("train/*/*.png")))
    assert train.metainfo["classes"] == tuple(f"class{k}" for k in range(10))
    # RGB, as in the binary form: blue and red were 0 and 255 in the file's BGR.
    assert train[0]["img"][0, 0].tolist() == [255, 0, 0]


def test_val_folder_beside_test_is_val(folders, tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).symlink_to(folders / split)
    for label in range(10):
        write_images(tmp_path / "val" / f"class{label}", 3)
    sizes = [
        len(build("CIFAR10Split", data_root=str(tmp_path), split=split))
        for split in ("train", "val", "test")
    ]
    assert sizes == [100, 30, 20]


def test_val_folder_alone_is_test(folders, tmp_path):
    (tmp_path / "train").symlink_to(folders / "train")
    (tmp_path / "val").symlink_to(folders / "test")
    val, test = (
        build("CIFAR10Split", data_root=str(tmp_path), split=split) for split in ("val", "test")
    )
    assert (len(val), len(test)) == (10, 20)
    assert "/val/" in paths(test)[0]
    assert "/train/" in paths(val)[0]


def test_binary_form(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        entry = {
            "data": generator.integers(0, 256, (20, 3072), dtype=np.uint8),
            "labels": [k % 10 for k in range(20)],
        }
        (folder / name).write_bytes(pickle.dumps(entry))
    train, val, test = (
        build("CIFAR10Split", data_root=str(tmp_path), split=split)
        for split in ("train", "val", "test")
    )
    assert (len(train), len(val), len(test)) == (90, 10, 20)
    assert train[0]["img"].shape == (32, 32, 3)
    first = test[0]["img"]
    assert first[0, :, 0].tolist() == entry["data"][0, :32].tolist()
    assert test.metainfo["classes"][0] == "airplane"


def test_unreadable_image_is_named(folders, tmp_path):
    for name in ("train", "test"):
        for label in range(10):
            write_images(tmp_path / name / f"c{label}", 2)
    (tmp_path / "train" / "c0" / "0.png").write_text("no image")
    (tmp_path / "train" / "c0" / "1.png").write_text("no image")
    dataset = build("CIFAR10Split", data_root=str(tmp_path), split="train")
    with pytest.raises(ValueError, match=r"c0/\d\.png is no readable image"):
        dataset[0]


def nine_classes(root: Path) -> None:
    for label in range(9):
        write_images(root / "train" / str(label), 1)


def stranger_in_test(root: Path) -> None:
    for label in range(10):
        write_images(root / "train" / str(label), 2)
    write_images(root / "test" / "ten", 1)


@pytest.mark.parametrize(
    "prepare, split, message",
    [
        (lambda root: None, "train", r"no CIFAR-10 data at .*/train: expected .*<class>"),
        (nine_classes, "train", "has 9 class folders, but the config 10 classes"),
        (stranger_in_test, "test", "test/ten is a class that .*train lacks"),
    ],
)
def test_wrong_folders_get_one_line(prepare, split, message, tmp_path):
    prepare(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        build("CIFAR10Split", data_root=str(tmp_path), split=split)
    assert "\n" not in str(error.value)


# --- long tail of any set --------------------------------------------------------------------


def test_long_tail_of_a_data_set(folders):
    inner = dict(type="CIFAR10Split", data_root=str(folders), split="train", pipeline=[])
    dataset = DATASETS.build(dict(type="LongTailDataset", ratio=9, dataset=inner))
    assert count_classes(dataset).tolist() == long_tail_counts(9, 10, 9).tolist()
    assert dataset[0]["gt_label"] == 0
    assert dataset[len(dataset) - 1]["gt_label"] == 9
    assert dataset.metainfo["classes"][0] == "class0"
    with pytest.raises(ValueError, match="test mode: wrap the training split only"):
        DATASETS.build(dict(type="LongTailDataset", ratio=9, dataset=dict(inner, test_mode=True)))


# --- ImageNet and its relatives --------------------------------------------------------------


@pytest.fixture
def three_classes(monkeypatch):
    """ImageNet with three classes in place of a thousand."""
    for name in ("ImageNetSplit", "ImageNetLT", "TinyImageNetSplit"):
        monkeypatch.setattr(getattr(classification, name), "METAINFO", {"classes": tuple("abc")})


def test_imagenet_splits_its_val(three_classes, tmp_path):
    for label in "abc":
        write_images(tmp_path / "train" / f"n{label}", 4, ".JPEG")
        write_images(tmp_path / "val" / f"n{label}", 5, ".JPEG")
    root = str(tmp_path)
    train, val, test = (
        build("ImageNetSplit", data_root=root, split=split) for split in ("train", "val", "test")
    )
    assert (len(train), len(val), len(test)) == (12, 3, 12)
    assert not set(paths(val)) & set(paths(test))
    assert set(labels(val).values()) == {1}
    (tmp_path / "val_ind.txt").write_text("0\n7\n")
    assert [
        Path(path).name for path in paths(build("ImageNetSplit", data_root=root, split="val"))
    ] == [
        "0.JPEG",
        "2.JPEG",
    ]
    (tmp_path / "val_ind.txt").write_text("15\n")
    with pytest.raises(ValueError, match="line 1 is '15': expected an index from 0 to 14"):
        build("ImageNetSplit", data_root=root, split="val")


def test_imagenet_by_lists(three_classes, tmp_path):
    write_images(tmp_path / "val", 6, ".JPEG")
    (tmp_path / "meta").mkdir()
    lines = [f"{index}.JPEG {index % 3}" for index in range(6)]
    (tmp_path / "meta" / "val.txt").write_text("\n".join(lines))
    val, test = (
        build("ImageNetSplit", data_root=str(tmp_path), split=split) for split in ("val", "test")
    )
    assert (len(val), len(test)) == (3, 3)


def test_tiny_imagenet(three_classes, tmp_path):
    for label in "abc":
        write_images(tmp_path / "train" / f"n{label}" / "images", 10, ".JPEG")
    write_images(tmp_path / "val" / "images", 3, ".JPEG")
    lines = [f"{index}.JPEG\tn{label}\t0\t0\t1\t1\n" for index, label in enumerate("cab")]
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    train, val, test = (
        build("TinyImageNetSplit", data_root=str(tmp_path), split=split)
        for split in ("train", "val", "test")
    )
    assert (len(train), len(val), len(test)) == (27, 3, 3)
    assert test.get_gt_labels().tolist() == [2, 0, 1]


def test_imagenet_lt(three_classes, tmp_path):
    write_images(tmp_path / "train" / "na", 2, ".JPEG")
    (tmp_path / "ImageNet_LT_train.txt").write_text("train/na/0.JPEG 0\ntrain/na/1.JPEG 2\n")
    dataset = build("ImageNetLT", data_root=str(tmp_path), split="train")
    assert dataset.get_gt_labels().tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"no ImageNet-LT data at .*ImageNet_LT_val\.txt"):
        build("ImageNetLT", data_root=str(tmp_path), split="val")
    (tmp_path / "ImageNet_LT_test.txt").write_text("train/na/0.JPEG\n")
    with pytest.raises(ValueError, match="line 1 is .*: expected a path and a label"):
        build("ImageNetLT", data_root=str(tmp_path), split="test")


@pytest.mark.parametrize("scope", ["mmengine", "mmseg", "mmpretrain"])
@pytest.mark.parametrize("name", classification.__all__)
def test_every_scope_finds_our_class(name, scope):
    if scope == "mmseg":
        pytest.importorskip("mmseg", reason="mmseg is not installed")
    with (
        DefaultScope.overwrite_default_scope(scope),
        DATASETS.switch_scope_and_registry(None) as registry,
    ):
        assert registry.get(name).__module__.startswith("cals_mm.datasets.")
