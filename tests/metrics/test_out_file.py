"""Where a metric writes is made or refused before anything is trained, and never stops a run."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cals_mm import CalibrationMetric
from cals_mm.metrics.image_sums_file import ImageSumsFile
from cals_mm.metrics.prediction_file import PredictionFile
from tests.tiny import tiny_config, train

METRICS = {
    "CalibrationMetric": lambda path: CalibrationMetric(draw=False, out_file=str(path)),
    "PredictionFile": lambda path: PredictionFile(str(path)),
    "ImageSumsFile": lambda path: ImageSumsFile(str(path)),
}


@HOOKS.register_module()
class IterationCounter(Hook):
    count = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        IterationCounter.count += 1


@pytest.mark.parametrize("name", METRICS)
def test_folders_are_made(tmp_path: Path, name: str) -> None:
    METRICS[name](tmp_path / "a" / "b" / "x.pt")
    assert (tmp_path / "a" / "b").is_dir() and not list((tmp_path / "a" / "b").iterdir())


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", ["a folder", "below a file", "read-only"])
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "file").touch()
    path = {
        "a folder": tmp_path,
        "below a file": tmp_path / "file" / "x.pt",
        "read-only": Path("/proc/nowhere/x.pt"),
    }[kind]
    with pytest.raises(ValueError, match=rf"{name}\(out_file=.*give") as error:
        METRICS[name](path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("good", [True, False])
def test_before_the_first_iteration(tmp_path: Path, good: bool) -> None:
    cfg = tiny_config(tmp_path, steps=1)
    (tmp_path / "file").touch()
    out = tmp_path / ("new" if good else "file") / "sums.pt"
    cfg.val_evaluator = dict(type="CalibrationMetric", draw=False, out_file=str(out))
    cfg.custom_hooks.append(dict(type="IterationCounter"))
    IterationCounter.count = 0
    if good:
        train(cfg)
        assert out.is_file() and IterationCounter.count == 2
    else:
        with pytest.raises(ValueError, match="cannot be written"):
            train(cfg)
        assert IterationCounter.count == 0


def test_a_disk_that_fills_up_later_stops_nothing(tmp_path: Path, monkeypatch) -> None:
    metric = CalibrationMetric(draw=False, out_file=str(tmp_path / "sums.pt"))
    metric.process(None, [{"logits": torch.tensor([2.0, 0.0]), "gt_label": torch.tensor([0])}])

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert metric.evaluate(1)["calibration/accuracy"] == 100
    assert not list(tmp_path.iterdir())
