"""A text classifier is calibrated and analysed by the same scripts as any other model."""

import json
import runpy
import sys
from pathlib import Path

import torch

from cals_mm.text.predict import TextPredictor
from tests.tiny import train
from tests.tiny_text import MARGIN, tiny_text

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def run(monkeypatch, script: str, *args) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, args)])
    runpy.run_path(str(TOOLS / script), run_name="__main__")


def test_predictions_of_the_new_checkpoint_are_the_scaled_ones(tmp_path: Path, monkeypatch) -> None:
    cfg = tiny_text(tmp_path, steps=2)
    assert cfg.model.head.loss.margin == MARGIN
    train(cfg)
    config, old, new = tmp_path / "config.py", tmp_path / "work" / "epoch_2.pth", tmp_path / "n.pth"
    cfg.dump(config)
    files = (config, old, "--out", new, "--json", tmp_path / "out.json")
    run(monkeypatch, "calibrate.py", *files, "--work-dir", tmp_path / "calibrate", "--no-test")
    scaling = json.loads((tmp_path / "out.json").read_text())["scaling"]
    assert scaling["layer"] == "head.fc"
    assert abs(scaling["temperature"] - 1) > 0.1

    texts = ["topic3w1 common5", "common7 topic11w2"]
    before, after = (TextPredictor.from_checkpoint(str(file))(texts) for file in (old, new))
    expected = (before.double().log() / scaling["temperature"]).softmax(1)
    torch.testing.assert_close(after.double(), expected, rtol=1e-4, atol=1e-7)


def test_a_run_is_analysed(tmp_path: Path, monkeypatch) -> None:
    train(tiny_text(tmp_path, steps=1))
    configs = list((tmp_path / "work").glob("*.py"))
    run(monkeypatch, "analyze.py", tmp_path / "work", "--config", configs[0])
    shown = {path.stem for path in (tmp_path / "work" / "analysis").glob("*.png")}
    assert {"reliability", "class_errors", "class_reliability", "frequency"} <= shown
