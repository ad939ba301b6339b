import dataclasses
import json
import multiprocessing
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cals_mm.datasets.cityscapes_layout import (
    CLASSES,
    DEMO_MANIFEST,
    HELD_OUT_CITIES,
    TRAIN_IMAGES_PER_CITY,
    VAL_CITIES,
)
from cals_mm.datasets.street_scenes import DemoSpec, make_demo_set, render_scene
from cals_mm.datasets.street_scenes.labels import Label
from cals_mm.datasets.street_scenes.scene import SPLIT_CITIES

ROOT = Path(__file__).parents[2]
TOOL = str(ROOT / "tools" / "make_demo_data.py")


@pytest.fixture(scope="module")
def pixel_counts(demo_root):
    """Per split: pixels per label, shape (images, 256)."""
    counts = {}
    for split, cities in SPLIT_CITIES.items():
        files = [
            path
            for path in demo_root.glob("gtFine/*/*/*_gtFine_labelTrainIds.png")
            if path.parent.name in cities
        ]
        labels = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(files)]
        counts[split] = np.stack([np.bincount(x.ravel(), minlength=256) for x in labels])
    return counts


def test_labels_are_numbered_like_the_classes():
    names = [label.name.lower().replace("_", " ") for label in Label if label != Label.VOID]
    assert names == list(CLASSES) and [*Label][:19] == list(range(19))


def test_held_out_cities_are_a_tenth_of_train():
    total = sum(TRAIN_IMAGES_PER_CITY.values())
    held_out = sum(TRAIN_IMAGES_PER_CITY[city] for city in HELD_OUT_CITIES)
    assert total == 2975
    assert 0.08 < held_out / total < 0.12


def test_splits_share_no_city():
    cities = [city for split in SPLIT_CITIES.values() for city in split]
    assert len(cities) == len(set(cities))
    assert set(SPLIT_CITIES["train"]) < set(TRAIN_IMAGES_PER_CITY) - set(HELD_OUT_CITIES)


def test_scene_is_a_function_of_seed_split_and_index():
    image, label = render_scene(3, "train", 4, height=48)
    again, label_again = render_scene(3, "train", 4, height=48)
    assert image.shape == (48, 96, 3) and image.dtype == np.uint8
    assert label.shape == (48, 96) and label.dtype == np.uint8
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(label, label_again)
    for other in ((4, "train", 4), (3, "test", 4), (3, "train", 5)):
        assert (render_scene(*other, height=48)[0] != image).mean() > 0.5


def test_every_class_is_in_every_split(pixel_counts):
    for split, counts in pixel_counts.items():
        assert (counts[:, :19].sum(0) > 0).all(), split
        assert counts[:, 19:255].sum() == 0, split


def test_classes_are_imbalanced_as_in_a_street(pixel_counts):
    counts = np.concatenate(list(pixel_counts.values()))
    share = dict(zip(CLASSES, counts[:, :19].sum(0) / counts.sum(), strict=True))
    assert share["road"] > 0.25 and share["building"] > 0.1 and share["vegetation"] > 0.04
    for rare in ("train", "motorcycle", "rider", "traffic light"):
        assert share[rare] < 0.02
        assert (counts[:, CLASSES.index(rare)] > 0).mean() < 0.4


def test_void_is_a_few_percent_of_every_image(pixel_counts):
    counts = np.concatenate(list(pixel_counts.values()))
    share = counts[:, 255] / counts.sum(1)
    assert share.min() > 0.02 and share.max() < 0.2


def test_layout_is_that_of_cityscapes(demo_root):
    cities = {path.name for path in demo_root.glob("leftImg8bit/train/*")}
    assert cities == {*SPLIT_CITIES["train"], *HELD_OUT_CITIES}
    assert {path.name for path in demo_root.glob("gtFine/val/*")} == set(VAL_CITIES)
    assert (demo_root / "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png").is_file()


def test_an_equal_set_is_reused(demo_root, demo_spec):
    before = (demo_root / DEMO_MANIFEST).stat().st_mtime_ns
    make_demo_set(demo_root, dataclasses.replace(demo_spec))
    assert (demo_root / DEMO_MANIFEST).stat().st_mtime_ns == before


def test_another_specification_is_refused(demo_root, demo_spec):
    with pytest.raises(ValueError, match="seed 5 instead of 6: choose another folder"):
        make_demo_set(demo_root, dataclasses.replace(demo_spec, seed=6))


def test_a_folder_of_the_user_is_left_alone(tmp_path, demo_spec):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="not demo data"):
        make_demo_set(tmp_path, demo_spec)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_incomplete_set_is_reported(demo_root, tmp_path, demo_spec):
    copy = shutil.copytree(demo_root, tmp_path / "copy")
    next(copy.glob("leftImg8bit/val/*/*.png")).unlink()
    with pytest.raises(ValueError, match="lacks 1 files"):
        make_demo_set(copy, demo_spec)


def test_a_file_in_the_way_is_reported(tmp_path, demo_spec):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write the demo data"):
        make_demo_set(tmp_path / "file" / "demo", demo_spec)


def test_nothing_is_left_behind_by_an_interruption(tmp_path, monkeypatch, demo_spec):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cals_mm.datasets.street_scenes.demo_set.render_scene", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_demo_set(tmp_path / "demo", demo_spec, progress=False)
    assert list(tmp_path.iterdir()) == []


def _make(root, spec, queue):
    make_demo_set(root, spec, progress=False)
    queue.put(sum(1 for _ in root.rglob("*.png")))


def test_processes_that_start_together_get_one_complete_set(tmp_path, demo_root, demo_spec):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    root = tmp_path / "demo"
    processes = [context.Process(target=_make, args=(root, demo_spec, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert {queue.get() for _ in processes} == {120}
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    for path in demo_root.rglob("*.png"):
        assert path.read_bytes() == (root / path.relative_to(demo_root)).read_bytes()


def test_the_first_of_two_unlocked_processes_wins(tmp_path, demo_root, monkeypatch, demo_spec):
    # Some network file systems have no locks: the rename alone must keep the set whole.
    module = "cals_mm.datasets.street_scenes.demo_set"
    root = tmp_path / "demo"
    scene = render_scene(0, "train", 0, height=48)

    def other_process_is_faster(*_):
        if not root.exists():
            shutil.copytree(demo_root, root)
        return scene

    monkeypatch.setattr(f"{module}.render_scene", other_process_is_faster)
    make_demo_set(root, demo_spec, progress=False)
    assert json.loads((root / DEMO_MANIFEST).read_text()) == demo_spec.manifest()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train": 3}, "num_train is 3: give an integer of at least 20"),
        ({"height": 31}, "height is 31"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"colour": 1}, "unknown demo option 'colour': choose from seed, height"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DemoSpec.from_options(**options)


def _python(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_generator_does_not_import_mmseg():
    code = "import sys, cals_mm.datasets.street_scenes; sys.exit('mmseg' in sys.modules)"
    assert _python("-c", code).returncode == 0


def test_tool_says_what_it_made(demo_root):
    counts = ("--num-train", "20", "--num-held-out", "20", "--num-test", "20")
    result = _python(TOOL, "--out", str(demo_root), "--seed", "5", "--size", "48", *counts)
    assert result.returncode == 0, result.stderr
    assert "60 images" in result.stdout


@pytest.mark.parametrize("arguments", [("--num-test", "2"), ("--seed", "x"), ("--nonsense",)])
def test_tool_reports_bad_input_in_one_line(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [TOOL, "--out", str(tmp_path / "demo"), *arguments])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(TOOL, run_name="__main__")
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "demo").exists()
