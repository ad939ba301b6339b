"""tools/calibrate.py on small real models of both frameworks."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

pytest.importorskip("mmseg", reason="mmsegmentation is not installed")
pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")

from cals_mm.commands.calibrate_words import table
from cals_mm.posthoc.conformal import PredictionSets, RiskThreshold
from cals_mm.runs import (
    batch_predictions,
    held_out_halves,
    held_out_logits,
    held_out_runner,
)
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tools" / "calibrate.py"
LAST_LAYER = "decode_head.conv_seg"


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory) -> tuple[Path, Path]:
    """Config and checkpoint of a segmentor that is far too sure of itself."""
    root = tmp_path_factory.mktemp("segmentation")
    cfg = tiny_config(root, steps=12, model__decode_head__loss_decode__margin=10.0)
    train(cfg)
    checkpoint = root / "trained.pth"
    content = torch.load(root / "work" / "epoch_12.pth", weights_only=False)
    for name in ("weight", "bias"):
        content["state_dict"][f"{LAST_LAYER}.{name}"] *= 5
    torch.save(content, checkpoint)
    cfg.dump(root / "config.py")
    return root / "config.py", checkpoint


@pytest.fixture(scope="module")
def classification(tmp_path_factory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("classification")
    cfg = tiny_classifier(root, steps=8, model__head__loss__margin=10.0)
    cfg.val_dataloader.dataset.indices = list(range(1, 300, 4))
    train(cfg)
    cfg.dump(root / "config.py")
    return root / "config.py", root / "work" / "epoch_8.pth"


@pytest.fixture
def calibrate(monkeypatch, capfd):
    """Run the script inside this process, for speed; return what it prints, or its error."""

    def run(files: tuple[Path, Path], folder: Path, *args) -> str:
        argv = [SCRIPT, *files, "--work-dir", folder / "work", "--json", folder / "out.json", *args]
        monkeypatch.setattr(sys, "argv", [str(arg) for arg in argv])
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            assert end.code == 2
            line = capfd.readouterr().err.strip().splitlines()[-1]
            assert line.startswith("error: ")
            return line
        return capfd.readouterr().out

    return run


def state_of(checkpoint: Path) -> dict[str, Tensor]:
    return torch.load(checkpoint, weights_only=False)["state_dict"]


@pytest.mark.slow
def test_segmentation_as_a_user_runs_it(segmentation, tmp_path: Path) -> None:
    config, checkpoint = segmentation
    bytes_before = checkpoint.read_bytes()
    new, report = tmp_path / "new.pth", tmp_path / "report.json"
    process = subprocess.run(
        [sys.executable, SCRIPT, config, checkpoint, "--out", new, "--json", report]
        + ["--work-dir", tmp_path / "work"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    content = json.loads(report.read_text())
    scaling, before, after = content["scaling"], content["before"], content["after"]
    assert scaling["temperature"] > 2
    assert f"temperature {scaling['temperature']:.4f}" in process.stdout
    assert scaling["nll_after"] < scaling["nll_before"]
    assert f"{after['calibration/ECE']:10.4f}" in process.stdout

    # Predictions stay, their probabilities do not.
    for name in ("aAcc", "mIoU", "mAcc", "calibration/accuracy"):
        assert after[name] == before[name]
    assert after["calibration/NLL"] < before["calibration/NLL"]
    assert after["calibration/confidence"] < before["calibration/confidence"]

    # The new checkpoint, tested as any other, gives what the table says.
    cfg = Config.fromfile(config)
    cfg.test_evaluator = [dict(type="IoUMetric"), dict(type="CalibrationMetric", draw=False)]
    cfg.load_from, cfg.work_dir = str(new), str(tmp_path / "test")
    cfg.experiment_name = "calibrated_test"
    assert Runner.from_cfg(cfg).test() == after

    # All other weights and the multipliers are those of the training; the old file is untouched.
    assert checkpoint.read_bytes() == bytes_before
    old_state, new_state = state_of(checkpoint), state_of(new)
    assert any("lagrangian" in key for key in new_state)
    changed = {key for key in old_state if not torch.equal(old_state[key], new_state[key])}
    assert changed == {f"{LAST_LAYER}.weight", f"{LAST_LAYER}.bias"}
    saved = torch.load(new, weights_only=False)
    assert saved["meta"]["cals_calibration"] == scaling
    assert saved["meta"]["dataset_meta"]["classes"]
    assert "optimizer" not in saved

    # mmsegmentation's own inference gives the calibrated probabilities.
    from mmseg.apis import inference_model, init_model

    image = str(next((config.parent / "images" / "test").iterdir()))
    cfg = Config.fromfile(config)
    cfg.test_pipeline = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]
    models = [init_model(cfg, str(file), device="cpu") for file in (checkpoint, new)]
    logits = [inference_model(model, image).seg_logits.data for model in models]
    expected = (logits[0] / scaling["temperature"]).softmax(0)
    torch.testing.assert_close(logits[1].softmax(0), expected, rtol=1e-4, atol=1e-6)
    assert torch.equal(logits[1].argmax(0), logits[0].argmax(0))


def test_per_class_scaling_through_the_classifiers_inferencer(
    classification, calibrate, tmp_path: Path
) -> None:
    from mmpretrain import ImageClassificationInferencer

    config, checkpoint = classification
    new = tmp_path / "new.pth"
    printed = calibrate((config, checkpoint), tmp_path, "--method", "vector", "--out", new)
    assert "vector scaling" in printed
    assert "accuracy/top1" in printed
    scaling = json.loads((tmp_path / "out.json").read_text())["scaling"]
    assert scaling["layer"] == "head.fc"
    assert scaling["samples"] == 75

    cfg = Config.fromfile(config)
    image = Runner.build_dataloader(cfg.test_dataloader).dataset[0]["inputs"]
    image = image.permute(1, 2, 0).numpy()
    scores = [
        ImageClassificationInferencer(cfg, pretrained=str(file), device="cpu")(image)[0]
        for file in (checkpoint, new)
    ]
    before, after = (torch.tensor(score["pred_scores"]).double() for score in scores)
    weight, bias = torch.tensor(scaling["weight"]), torch.tensor(scaling["bias"])
    # Class-wise weights need the logits: the layer's own, from the old checkpoint's features.
    runner = held_out_runner(Config.fromfile(config), str(checkpoint))
    batch = {"inputs": [torch.from_numpy(image).permute(2, 0, 1)], "data_samples": None}
    inputs = runner.model.data_preprocessor(batch, False)["inputs"]
    with torch.no_grad():
        logits = runner.model(inputs, mode="tensor")[0].double()
    torch.testing.assert_close(logits.softmax(0), before, rtol=1e-4, atol=1e-6)
    expected = (logits * weight + bias).softmax(0)
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(after, before, atol=1e-3)


def test_calibrated_checkpoints_and_existing_files_are_refused(
    segmentation, calibrate, tmp_path: Path
) -> None:
    config, _ = segmentation
    new, twice = tmp_path / "new.pth", tmp_path / "twice.pth"
    printed = calibrate(segmentation, tmp_path, "--method", "class", "--out", new, "--no-test")
    assert "weights from" in printed
    assert "test split" not in printed
    assert "exists and is not overwritten" in calibrate(segmentation, tmp_path, "--out", new)
    (tmp_path / "out.json").unlink()
    line = calibrate((config, new), tmp_path, "--out", twice)
    assert "is calibrated already, by method 'class'" in line
    assert not twice.exists()
    calibrate((config, new), tmp_path, "--out", twice, "--no-test", "--again")
    notes = torch.load(twice, weights_only=False)["meta"]["cals_calibration"]
    assert notes["previous"]["method"] == "class"
    assert abs(notes["temperature"] - 1) < 0.05  # little is left to do


def test_prediction_sets_reach_their_coverage(classification, calibrate, tmp_path: Path) -> None:
    config, checkpoint = classification
    new = tmp_path / "new.pth"
    printed = calibrate(classification, tmp_path, "--coverage", 0.8, "--score", "aps", "--out", new)
    assert "sets of coverage 0.8, aps: threshold" in printed
    assert "from 75 held-out samples" in printed
    reached = json.loads((tmp_path / "out.json").read_text())["reached"]
    low, high = reached["range_low"], reached["range_high"]
    line = f"coverage {reached['coverage']:.4f}, expected {low:.4f} to {high:.4f} (95 %)"
    assert line in printed

    # The weights are those of the training, the sets those of the note on the test split.
    old_state, new_state = state_of(checkpoint), state_of(new)
    assert all(torch.equal(old_state[key], new_state[key]) for key in old_state)
    notes = torch.load(new, weights_only=False)["meta"]["cals_calibration"]
    assert notes["method"] == "none"
    sets = PredictionSets.from_dict(notes["conformal"])
    runner = held_out_runner(Config.fromfile(config), str(new))
    batches = [batch_predictions(runner.model, batch) for batch in runner.test_dataloader]
    seen = [prediction for batch in batches for prediction in batch]
    covered = [bool(sets(item.logits[None])[0, item.target]) for item in seen]
    assert sum(covered) / len(covered) == reached["coverage"]


def test_scaling_and_sets_are_fitted_to_different_samples(
    classification, calibrate, tmp_path: Path
) -> None:
    options = ("--method", "temperature", "--coverage", 0.7, "--per-class", "--no-test")
    printed = calibrate(classification, tmp_path, *options, "--out", tmp_path / "new.pth")
    assert "from 37 held-out samples: NLL" in printed
    assert "from 38 held-out samples" in printed
    assert "thresholds from" in printed
    config = Config.fromfile(classification[0])
    first, second = held_out_halves(held_out_runner(config, str(classification[1])))
    assert (len(first), len(second)) == (37, 38)
    assert first | second == set(range(75))


def test_a_risk_threshold_of_a_segmentor(segmentation, calibrate, tmp_path: Path) -> None:
    config, checkpoint = segmentation
    new = tmp_path / "new.pth"
    printed = calibrate(segmentation, tmp_path, "--risk", 0.01, "--out", tmp_path / "strict.pth")
    assert "at least 99 held-out images are needed, there are 5" in printed
    assert "0.0 % of the pixels accepted" in printed
    (tmp_path / "out.json").unlink()
    printed = calibrate(segmentation, tmp_path, "--risk", 0.9, "--out", new)
    notes = torch.load(new, weights_only=False)["meta"]["cals_calibration"]["conformal"]
    threshold = RiskThreshold(**notes)
    assert threshold.images == 5
    assert f"confidence threshold {threshold.threshold:.6f}" in printed
    reached = json.loads((tmp_path / "out.json").read_text())["reached"]
    runner = held_out_runner(Config.fromfile(config), str(checkpoint))
    accepted = wrong = valid = 0
    for batch in runner.test_dataloader:
        for logits, target, *_ in batch_predictions(runner.model, batch):
            counts = target != 255
            kept = threshold.accept(logits[None])[0] & counts
            valid += int(counts.sum())
            accepted += int(kept.sum())
            wrong += int((kept & (logits.argmax(0) != target)).sum())
    assert reached["accepted"] == pytest.approx(accepted / valid)
    assert reached["pooled_error"] == pytest.approx(wrong / max(accepted, 1))


def test_bounds_are_for_their_kind_of_labels(
    segmentation, classification, calibrate, tmp_path: Path
) -> None:
    line = calibrate(segmentation, tmp_path, "--coverage", 0.9)
    assert "for label maps give --risk" in line
    line = calibrate(classification, tmp_path, "--risk", 0.1)
    assert "for one label a sample give --coverage" in line
    assert "--coverage must be between 0 and 1, got 90.0" in calibrate(
        classification, tmp_path, "--coverage", 90
    )
    assert list(tmp_path.glob("*.pth")) == []


def test_fitting_on_test_data_is_refused(segmentation, calibrate, tmp_path: Path) -> None:
    options = ("--cfg-options", "val_dataloader.dataset.data_prefix.img_path=images/test")
    options += ("val_dataloader.dataset.data_prefix.seg_map_path=labels/test",)
    line = calibrate(segmentation, tmp_path, *options)
    assert "3 validation files are test files too" in line
    assert "--allow-test-data" in line
    new = tmp_path / "new.pth"
    calibrate(segmentation, tmp_path, "--out", new, "--no-test", "--allow-test-data", *options)
    assert new.exists()


def test_what_is_missing_is_named(segmentation, calibrate, tmp_path: Path) -> None:
    config = segmentation[0]
    line = calibrate(segmentation, tmp_path, "--cfg-options", "test_dataloader=None")
    assert "no test_dataloader" in line
    nothing = ("val_dataloader=None", "val_evaluator=None", "val_cfg=None")
    assert "no val_dataloader" in calibrate(segmentation, tmp_path, "--cfg-options", *nothing)
    assert "does not exist" in calibrate((config, tmp_path / "no.pth"), tmp_path)
    nowhere = "test_dataloader.dataset.data_prefix.img_path=nowhere"
    new = tmp_path / "new.pth"
    assert "nowhere" in calibrate(segmentation, tmp_path, "--out", new, "--cfg-options", nowhere)
    assert not new.exists(), "noticed before the fit"
    assert "positive, got 0" in calibrate(segmentation, tmp_path, "--pixels", 0)
    assert "one process" in calibrate(segmentation, tmp_path, "--launcher", "pytorch")
    other = tmp_path / "other.pth"
    torch.save({"state_dict": {"fc.weight": torch.zeros(4, 4)}}, other)
    assert f"no '{LAST_LAYER}.weight'" in calibrate((config, other), tmp_path)


def test_metrics_that_are_no_numbers_are_not_shown() -> None:
    lines = table({"mIoU": 1.0, "of_classes": [1.0, 2.0]}, {"mIoU": 2.0, "of_classes": [2.0, 3.0]})
    assert [line.split()[0] for line in lines.splitlines()[2:]] == ["mIoU"]


def test_sliding_windows_commute_with_the_scaling(segmentation, calibrate, tmp_path: Path) -> None:
    config, checkpoint = segmentation
    slide = dict(mode="slide", crop_size=(16, 16), stride=(8, 8))
    options = ("model.test_cfg.mode=slide", "model.test_cfg.crop_size=(16,16)")
    options += ("model.test_cfg.stride=(8,8)",)
    new = tmp_path / "new.pth"
    calibrate(segmentation, tmp_path, "--out", new, "--no-test", "--cfg-options", *options)
    temperature = torch.load(new, weights_only=False)["meta"]["cals_calibration"]["temperature"]
    logits = []
    for file in (checkpoint, new):
        cfg = Config.fromfile(config)
        cfg.model.test_cfg = slide
        runner = held_out_runner(cfg, str(file))
        batch = next(iter(runner.val_dataloader))
        logits.append(batch_predictions(runner.model, batch)[0].logits)
    torch.testing.assert_close(logits[1], logits[0] / temperature, rtol=1e-4, atol=1e-5)


def test_held_out_pixels_are_valid_the_same_each_time_and_bounded(
    segmentation, monkeypatch
) -> None:
    config, checkpoint = segmentation
    runner = held_out_runner(Config.fromfile(config), str(checkpoint))
    logits, target = held_out_logits(runner, pixels=100)
    assert logits.shape == (500, 4)
    assert set(target.tolist()) <= {0, 1, 2, 3}
    again = held_out_logits(runner, pixels=100)
    assert torch.equal(again[0], logits)
    assert torch.equal(again[1], target)
    monkeypatch.setattr("cals_mm.runs.held_out._MAX_LOGITS", 5 * 4 * 7)
    assert held_out_logits(runner, pixels=100)[0].shape == (35, 4)
