"""tools/test.py: temperatures fitted to held-out data alone, and tests on corrupted images."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

pytest.importorskip("mmseg", reason="mmsegmentation is not installed")
pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")

from cals_mm.commands.test import main as evaluate
from cals_mm.functional import CALIBRATION_VALUES, calibration_statistics, calibration_values
from cals_mm.posthoc import TemperatureScaler
from cals_mm.runs import batch_predictions, held_out_runner
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier


@pytest.fixture(scope="module", params=["segmentation", "classification"])
def model(request, tmp_path_factory) -> tuple[str, str]:
    """Config and checkpoint of a small model that is far too sure of itself."""
    root = tmp_path_factory.mktemp(request.param)
    segmentation = request.param == "segmentation"
    cfg = (tiny_config if segmentation else tiny_classifier)(root, steps=2)
    train(cfg)
    cfg.dump(root / "config.py")
    content = torch.load(root / "work" / "epoch_2.pth", weights_only=False)
    layer = "decode_head.conv_seg" if segmentation else "head.fc"
    for name in ("weight", "bias"):
        content["state_dict"][f"{layer}.{name}"] *= 7
    torch.save(content, root / "trained.pth")
    return str(root / "config.py"), str(root / "trained.pth")


def figures(model, folder: Path, *more: str) -> dict[str, float]:
    out = folder / "metrics.json"
    evaluate([*model, "--work-dir", str(folder), "--out", str(out), *more])
    return json.loads(out.read_text())


def predictions(model, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """All valid samples of a split as rows, by hand."""
    runner = held_out_runner(Config.fromfile(model[0]), model[1])
    rows, labels = [], []
    for batch in getattr(runner, f"{split}_dataloader"):
        for logits, target, *_ in batch_predictions(runner.model, batch):
            flat = logits.reshape(len(logits), -1).T
            valid = target.reshape(-1) != 255
            rows.append(flat[valid])
            labels.append(target.reshape(-1)[valid])
    return torch.cat(rows), torch.cat(labels)


def test_fitted_on_the_held_out_split_and_measured_on_the_test_split(model, tmp_path):
    found = figures(model, tmp_path, "--temperature", "held-out")
    fitted = TemperatureScaler().fit(*predictions(model, "val"))
    assert found["scaled/temperature"] == pytest.approx(float(fitted.temperature), rel=1e-5)
    logits, target = predictions(model, "test")
    for prefix, rows in (("calibration", logits), ("scaled", fitted(logits))):
        values = calibration_values(calibration_statistics(rows, target)).tolist()
        for name, value in zip(CALIBRATION_VALUES, values, strict=True):
            assert found[f"{prefix}/{name}"] == pytest.approx(value, rel=1e-3, abs=1e-3), name
    assert found["scaled/NLL"] != found["calibration/NLL"]


def test_a_given_temperature_needs_no_held_out_data(model, tmp_path):
    nothing = [f"val_{part}=None" for part in ("dataloader", "evaluator", "cfg")]
    found = figures(model, tmp_path, "--temperature", "7", "--cfg-options", *nothing)
    logits, target = predictions(model, "test")
    nll = torch.nn.functional.cross_entropy(logits / 7, target)
    assert found["scaled/NLL"] == pytest.approx(float(nll), rel=1e-4)
    with pytest.raises(ValueError, match="no val_dataloader"):
        figures(model, tmp_path, "--temperature", "held-out", "--cfg-options", *nothing)


def test_bad_temperatures_and_test_data_are_refused(model, tmp_path):
    for word in ("0", "-1", "nan", "cold"):
        with pytest.raises(ValueError, match="must be a positive number or held-out"):
            figures(model, tmp_path, f"--temperature={word}")
    with pytest.raises(ValueError, match="one process"):
        figures(model, tmp_path, "--temperature", "held-out", "--launcher", "pytorch")
    if "segmentation" in model[0]:
        with pytest.raises(ValueError, match="3 validation files are test files too"):
            figures(
                model,
                tmp_path,
                *("--temperature", "held-out", "--cfg-options"),
                "val_dataloader.dataset.data_prefix.img_path=images/test",
                "val_dataloader.dataset.data_prefix.seg_map_path=labels/test",
            )


def test_corrupted_images_are_those_of_the_test_split(model, tmp_path):
    clean = figures(model, tmp_path, "--temperature", "held-out")
    kept = "--image-sums" if "segmentation" in model[0] else "--predictions"
    found = figures(
        model,
        tmp_path,
        *("--corrupt", "noise:5", "blur:1", "--temperature", "held-out"),
        *(kept, str(tmp_path / "kept.pt")),
    )
    assert found["scaled/temperature"] == clean["scaled/temperature"], "fitted on clean images"
    for name in ("noise:5", "blur:1"):
        assert {key.removeprefix(f"{name}/") for key in found if key.startswith(name)} >= {
            key for key in clean if key != "scaled/temperature"
        }
        assert found[f"{name}/calibration/NLL"] != clean["calibration/NLL"]
        assert (tmp_path / f"kept-{name.replace(':', '-')}.pt").is_file()
    again = figures(model, tmp_path, "--corrupt", "noise:5", "--temperature", "3")
    assert again["noise:5/calibration/NLL"] == found["noise:5/calibration/NLL"]


@pytest.mark.parametrize(
    ("word", "message"),
    [("blur", "KIND:SEVERITY"), ("rain:1", "there are noise, blur"), ("jpeg:6", "1 to 5")],
)
def test_unknown_corruptions_are_refused(model, tmp_path, word, message):
    with pytest.raises(ValueError, match=message):
        figures(model, tmp_path, "--corrupt", word)
