"""tools/predict.py with a segmentor: what it writes, and what it refuses."""

import re
import weakref

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

pytest.importorskip("mmseg", reason="mmsegmentation is not installed")

from cals_mm.commands.predict import main
from cals_mm.posthoc import RiskThreshold
from cals_mm.posthoc.checkpoint import noted_checkpoint
from cals_mm.prediction import REJECTED, ImageModel, Input, MapFiles
from cals_mm.runs import run
from tests.tiny import CLASSES, make_images, tiny_config

RISK = RiskThreshold(risk=0.05, threshold=0.35, min_share=0.01, images=99)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Config, checkpoint with a threshold, and folder of images of three sizes."""
    root = tmp_path_factory.mktemp("segmentor")
    cfg = tiny_config(root)
    cfg.dump(root / "config.py")
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        network = MODELS.build(cfg.model)
    network.decode_head.conv_seg.weight.data *= 30
    state = network.state_dict()
    meta = {"dataset_meta": {"classes": CLASSES, "palette": [[9 * k, k, k] for k in range(4)]}}
    checkpoint = noted_checkpoint(
        {"state_dict": state, "meta": meta}, {"method": "none", "conformal": RISK.to_dict()}
    )
    torch.save(checkpoint, root / "model.pth")
    make_images(root, "photos", 3)
    photos = root / "images" / "photos"
    image = cv2.imread(str(photos / "0.png"))
    cv2.imwrite(str(photos / "1.png"), cv2.resize(image, (50, 41)))
    cv2.imwrite(str(photos / "2.png"), image[:, :, 0])
    return root / "config.py", root / "model.pth", photos


def predict(model, out, *args):
    main([*map(str, model), "--out", str(out), *map(str, args)])


@torch.no_grad()
def logits_of(model, path):
    """Logits and classes by the framework's own means."""
    cfg = Config.fromfile(model[0])
    predictor = ImageModel(cfg, torch.load(model[1], weights_only=False))
    (sample,) = predictor.model.test_step(
        {k: [v] for k, v in predictor.read(Input(str(path), "")).packed.items()}
    )
    return sample.seg_logits.data, sample.pred_sem_seg.data[0].numpy()


def read(path):
    return np.asarray(Image.open(path))


def test_the_maps_are_those_of_the_logits_at_the_size_of_the_image(model, tmp_path):
    predict(model, tmp_path, "--npz")
    for name, size in (("0", (24, 32)), ("1", (41, 50)), ("2", (24, 32))):
        logits, classes = logits_of(model, model[2] / f"{name}.png")
        confidence = logits.softmax(0).amax(0).numpy()
        grey = read(tmp_path / "confidence" / f"{name}.png")
        assert grey.shape == size and grey.dtype == np.uint8
        assert np.abs(grey - 255 * confidence).max() <= 0.51
        assert len(np.unique(grey)) > 10
        with np.load(tmp_path / "confidence" / f"{name}.npz") as stored:
            np.testing.assert_allclose(stored["confidence"], confidence, atol=1e-6)
        assert (read(tmp_path / "classes" / f"{name}.png") == classes).all()
        assert read(tmp_path / "overlay" / f"{name}.jpg").shape == (*size, 3)
    colours = Image.open(tmp_path / "classes" / "0.png").getpalette()
    assert colours[:12] == [0, 0, 0, 9, 1, 1, 18, 2, 2, 27, 3, 3]
    assert read(tmp_path / "classes.png").std() > 10


def test_rejected_pixels_are_those_below_the_threshold(model, tmp_path, capsys):
    predict(model, tmp_path, "--abstain", "0.05")
    share = []
    for name in "012":
        logits, classes = logits_of(model, model[2] / f"{name}.png")
        accepted = RISK.accept(logits[None])[0].numpy()
        assert (read(tmp_path / "classes" / f"{name}.png")[accepted] == classes[accepted]).all()
        assert (read(tmp_path / "classes" / f"{name}.png")[~accepted] == REJECTED).all()
        share.append(accepted.ravel())
    share = 100 * np.concatenate(share).mean()
    assert 1 < share < 99
    assert f"{share:.1f} % of the pixels accepted" in capsys.readouterr().out


def test_batches_of_one_size_and_sliding_windows(model, tmp_path):
    predict(model, tmp_path / "one")
    predict(model, tmp_path / "two", "--batch-size", 2)
    slide = ["model.test_cfg.mode=slide", "model.test_cfg.crop_size=(16,16)"]
    predict(model, tmp_path / "slide", "--cfg-options", *slide, "model.test_cfg.stride=(8,8)")
    maps = {
        run: [read(tmp_path / run / "confidence" / f"{name}.png").astype(int) for name in "012"]
        for run in ("one", "two", "slide")
    }
    for one, two, slid in zip(*maps.values()):
        assert np.abs(one - two).max() <= 1
        assert one.shape == slid.shape and np.abs(one - slid).max() > 1


def test_broken_images_are_named_and_the_rest_goes_on(model, tmp_path, capfd):
    config, checkpoint, photos = model
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes((photos / "0.png").read_bytes()[:500])
    (tmp_path / "good.png").write_bytes((photos / "0.png").read_bytes())
    with pytest.raises(SystemExit) as end:
        predict((config, checkpoint, tmp_path), tmp_path / "out")
    assert end.value.code == 1
    errors = capfd.readouterr().err
    assert "WARN" not in errors, "OpenCV's own"
    for name in ("empty", "text", "cut"):
        assert re.search(rf"{name}\.png: not predicted: \S+", errors)
    assert "3 of 4 files were not predicted" in errors
    assert [file.name for file in (tmp_path / "out" / "overlay").iterdir()] == ["good.jpg"]


def test_results_are_not_overwritten_silently(model, tmp_path):
    predict(model, tmp_path)
    file = tmp_path / "overlay" / "1.jpg"
    file.write_text("mine")
    (tmp_path / "classes" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"exists and is not overwritten; .*--overwrite"):
        predict(model, tmp_path)
    assert file.read_text() == "mine"
    assert not (tmp_path / "classes" / "0.png").exists(), "refused before the first image"
    predict(model, tmp_path, "--overwrite")
    assert file.read_bytes()[:2] == b"\xff\xd8"


def test_an_interruption_leaves_what_was_finished(model, tmp_path, monkeypatch, capsys):
    maps = MapFiles._maps

    def interrupt_at_1(self, prediction):
        if prediction.input.name == "1":
            raise KeyboardInterrupt
        return maps(self, prediction)

    out = tmp_path / "out"
    monkeypatch.setattr(MapFiles, "_maps", interrupt_at_1)
    with pytest.raises(SystemExit) as end:
        run(main, [*map(str, model), "--out", str(out)])
    assert end.value.code == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"interrupted; what was finished is in {out}; --overwrite predicts all again"
    assert [file.name for file in (out / "overlay").iterdir()] == ["0.jpg"]
    monkeypatch.setattr(MapFiles, "_maps", maps)
    predict(model, out, "--overwrite")
    assert len(list((out / "overlay").iterdir())) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--abstain", "0.01"], "fitted for a risk of 0.05; give --abstain 0.05, or fit another"),
        (
            ["--cfg-options", "model.decode_head.num_classes=7"],
            "does not fit the config: .*conv_se",
        ),
        (["--cfg-options", "test_dataloader=None", "val_dataloader=None"], "has no test pipeline"),
    ],
)
def test_user_errors_are_one_line(model, tmp_path, args, message):
    with pytest.raises(ValueError, match=message) as error:
        predict(model, tmp_path, *args)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_first(model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot write to .*--out"):
        predict(model, tmp_path / "file" / "out")


def test_abstention_needs_a_threshold(model, tmp_path):
    config, checkpoint, photos = model
    bare = tmp_path / "bare.pth"
    torch.save(torch.load(checkpoint, weights_only=False)["state_dict"], bare)
    with pytest.raises(ValueError, match="carries no confidence threshold.* --risk 0.1"):
        predict((config, bare, photos), tmp_path / "out", "--abstain", "0.1")
    predict((config, bare, photos), tmp_path / "out")  # of weights alone


def test_images_with_nan_predictions_are_named(model, tmp_path, capsys):
    config, checkpoint, photos = model
    content = torch.load(checkpoint, weights_only=False)
    content["state_dict"]["decode_head.conv_seg.bias"][0] = torch.nan
    torch.save(content, tmp_path / "nan.pth")
    with pytest.raises(SystemExit):
        predict((config, tmp_path / "nan.pth", photos), tmp_path / "out")
    assert "NaN or infinite logits" in capsys.readouterr().err


def test_memory_is_that_of_a_few_images(model, tmp_path, monkeypatch):
    """However long the stream: the pictures of past images are gone."""
    alive: list[weakref.ref] = []
    most = 0
    read_image = ImageModel.read

    def watched(self, item):
        nonlocal most
        loaded = read_image(self, item)
        alive.append(weakref.ref(loaded.image))
        most = max(most, sum(image() is not None for image in alive))
        return loaded

    monkeypatch.setattr(ImageModel, "read", watched)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(30):
        (photos / f"{number}.png").write_bytes((model[2] / "0.png").read_bytes())
    predict((*model[:2], photos), tmp_path / "out")
    assert len(alive) == 30
    assert most <= 16
