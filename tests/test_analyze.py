"""tools/analyze.py: which files of a run it takes, what it measures, and what it writes."""

import os
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("mmseg", reason="mmsegmentation is not installed")
pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")

from mmengine.config import Config

from cals_mm.analysis import find_run, run_split
from cals_mm.frameworks.logits import logits_and_target
from cals_mm.functional import calibration_statistics
from cals_mm.functional._regions import boundary_pixels
from cals_mm.runs import trained_runner
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "analyze.py"


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("segmentation")
    train(tiny_config(root, steps=2))
    return root / "work"


def analyze(monkeypatch, *args) -> None:
    monkeypatch.setattr(sys, "argv", [str(arg) for arg in (SCRIPT, *args)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def shown_pictures(page: Path) -> list[str]:
    files = re.findall(r"\]\((\w+\.png)\)", page.read_text("utf-8"))
    for file in files:
        with Image.open(page.parent / file) as image:
            assert min(image.size) > 200
    return files


def test_a_segmentation_run(segmentation: Path, monkeypatch, capsys) -> None:
    analyze(monkeypatch, segmentation, "--maps", 2)
    folder = segmentation / "analysis"
    assert f"analysis written to {folder / 'README.md'}" in capsys.readouterr().out
    shown = shown_pictures(folder / "README.md")
    assert {"regions.png", "multipliers.png", "frequency.png", "maps_0.png", "maps_1.png"} < set(
        shown
    )
    # Nothing but the page and what it shows, and nothing half written.
    assert {path.name for path in folder.iterdir()} == {*shown, "README.md"}
    page = (folder / "README.md").read_text("utf-8")
    assert "Maps of 0.png" in page
    assert "Maps of 2.png" in page
    analyze(monkeypatch, segmentation, "--maps", 0, "--out", folder)
    assert "maps_0.png" not in shown_pictures(folder / "README.md")


def test_a_classification_run(tmp_path: Path, monkeypatch) -> None:
    train(tiny_classifier(tmp_path, steps=1))
    analyze(monkeypatch, tmp_path / "work", "--out", tmp_path / "pictures")
    shown = shown_pictures(tmp_path / "pictures" / "README.md")
    assert "regions.png" not in shown
    assert "class_reliability.png" in shown
    assert "frequency.png" in shown


def test_boundary_and_interior_are_measured_apart(segmentation: Path) -> None:
    run = find_run(str(segmentation))
    cfg = Config.fromfile(run.config)
    runner = trained_runner(cfg, run.checkpoint)
    split = run_split(runner, num_maps=1)
    expected = {True: 0, False: 0}
    with torch.no_grad():
        for batch in runner.test_dataloader:
            for sample in runner.model.test_step(batch):
                logits, target = logits_and_target(sample)
                edge = boundary_pixels(target[None], ignore_index=255)[0]
                for on_edge in (True, False):
                    chosen = (edge == on_edge) & (target != 255)
                    sums = calibration_statistics(logits[:, chosen].T, target[chosen])
                    expected[on_edge] += sums.negative_log_likelihood
                    part = split.boundary if on_edge else split.interior
                    assert part.count >= sums.count > 0
    torch.testing.assert_close(split.boundary.negative_log_likelihood, expected[True])
    torch.testing.assert_close(split.interior.negative_log_likelihood, expected[False])
    assert split.boundary.count + split.interior.count == split.overall.count
    assert len(split.maps) == 1
    assert split.maps[0].image.shape == (24, 32, 3)


def test_the_last_checkpoint_may_have_been_deleted(tmp_path: Path) -> None:
    (tmp_path / "model.py").touch()
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_80.pth"))
    with pytest.raises(FileNotFoundError, match="holds no checkpoint; name one by --checkpoint"):
        find_run(str(tmp_path))
    assert find_run(str(tmp_path), checkpoint="other.pth")[1:] == ("other.pth", None)
    best = tmp_path / "best_mIoU_epoch_9.pth"
    best.touch()
    assert find_run(str(tmp_path))[1:] == (str(best), None)


def test_which_files_of_a_run_are_taken(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is no folder"):
        find_run(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="holds no config; name one by --config"):
        find_run(str(tmp_path))
    (tmp_path / "model.py").touch()
    with pytest.raises(FileNotFoundError, match="holds no checkpoint; name one by --checkpoint"):
        find_run(str(tmp_path))
    (tmp_path / "epoch_3.pth").touch()
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_3.pth"))
    assert find_run(str(tmp_path)).checkpoint == str(tmp_path / "epoch_3.pth")
    for age, name in ((20, "best_mIoU_epoch_9.pth"), (10, "best_mIoU_epoch_10.pth")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    run = find_run(str(tmp_path))
    assert Path(run.checkpoint).name == "best_mIoU_epoch_10.pth"
    assert run.last == str(tmp_path / "epoch_3.pth")
    (tmp_path / "best_calibration_ECE_epoch_2.pth").touch()
    with pytest.raises(ValueError, match="best checkpoints by 2 metrics .*--checkpoint"):
        find_run(str(tmp_path))
    assert find_run(str(tmp_path), checkpoint="x.pth").checkpoint == "x.pth"
    (tmp_path / "other.py").touch()
    with pytest.raises(ValueError, match=r"several configs \(model.py, other.py\)"):
        find_run(str(tmp_path), checkpoint="x.pth")
