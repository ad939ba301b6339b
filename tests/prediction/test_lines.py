"""tools/predict.py with classifiers of images and of texts."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from cals_mm.commands.predict import main
from cals_mm.posthoc import PredictionSets
from cals_mm.posthoc.checkpoint import noted_checkpoint
from cals_mm.prediction import LineFile
from cals_mm.prediction.classes import Classes
from cals_mm.prediction.image_model import Predicted
from cals_mm.prediction.inputs import Input
from cals_mm.runs import run
from cals_mm.text.predict import TextPredictor
from cals_mm.text.vocabulary import Vocabulary
from tests.tiny_text import tiny_text

SETS = PredictionSets(coverage=0.8, score="aps")


def lines(folder):
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def built(cfg):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmengine")):
        return MODELS.build(cfg.model)


def save(cfg, folder, classes, **meta):
    """Config and checkpoint of untrained weights with prediction sets."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, len(classes), generator=generator)
    SETS.fit(logits, logits.topk(2).indices[:, 1])
    cfg.dump(folder / "config.py")
    checkpoint = {
        "state_dict": built(cfg).state_dict(),
        "meta": {"dataset_meta": {"classes": classes, **meta}, "cfg": cfg.pretty_text},
    }
    notes = {"method": "none", "conformal": SETS.to_dict()}
    torch.save(noted_checkpoint(checkpoint, notes), folder / "model.pth")
    return str(folder / "config.py"), str(folder / "model.pth")


def test_a_classifier_of_images_in_arrays(tmp_path, capsys):
    """The data set holds arrays of one channel, and so its pipeline loads no image."""
    pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")
    from tests.tiny_classifier import tiny_classifier

    classes = tuple("abcdefghij")
    config, checkpoint = save(tiny_classifier(tmp_path), tmp_path, classes)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (size, size), dtype=np.uint8) for size in (8, 8, 13)]
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    (tmp_path / "3.png").touch()
    with pytest.raises(SystemExit) as end:
        main([config, checkpoint, str(tmp_path), "--out", str(tmp_path / "out"), *BATCHES])
    assert end.value.code == 1

    cfg = Config.fromfile(config)
    model = built(cfg)
    model.load_state_dict(torch.load(checkpoint, weights_only=False)["state_dict"])
    found = lines(tmp_path / "out")
    assert [line["input"] for line in found] == [str(tmp_path / f"{k}.png") for k in range(3)]
    for line, image in zip(found, images):
        batch = {"inputs": [torch.from_numpy(image)[None]]}
        with torch.no_grad():
            inputs = model.data_preprocessor(batch)["inputs"]
            logits = model.eval()(inputs, mode="tensor")
        logits = model.head(logits) if logits.shape[1] != 10 else logits
        probabilities = logits.softmax(1)[0]
        np.testing.assert_allclose(line["probabilities"], probabilities, atol=1e-6)
        assert line["label"] == int(probabilities.argmax())
        assert line["class"] == classes[line["label"]]
        assert line["confidence"] == max(line["probabilities"])
        inside = SETS(logits)[0]
        assert line["set"] == [name for name, there in zip(classes, inside) if there]
        assert 0 < len(line["set"]) < 10
    printed = capsys.readouterr()
    assert "3.png: not predicted: " in printed.err
    assert f"{found[0]['class']}  {tmp_path}/0.png" in printed.out


BATCHES = ("--batch-size", "2")


@pytest.mark.parametrize("name", ["caf\udce9.png", "\udcff\udcfe", "é\ud800.png"])
def test_names_that_are_not_unicode(tmp_path, name):
    logits = torch.tensor([1.0, 0.0])
    predicted = Predicted(Input(name, name), None, logits, logits.argmax())
    file = LineFile(str(tmp_path), Classes((name, "b")))
    assert list(file.write([predicted])) == [None]
    (line,) = lines(tmp_path)
    assert line["input"] == line["class"] == name


def test_options_for_label_maps_are_refused(tmp_path):
    pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")
    from tests.tiny_classifier import tiny_classifier

    files = save(tiny_classifier(tmp_path), tmp_path, tuple("abcdefghij"))
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((8, 8), np.uint8))
    for option in (["--npz"], ["--abstain", "0.1"]):
        with pytest.raises(ValueError, match=f"{option[0]} is for label maps"):
            main([*files, str(tmp_path), "--out", str(tmp_path / "out"), *option])


def test_texts(tmp_path):
    words = [f"topic{k}" for k in range(9)]
    names = tuple(f"group{k}" for k in range(20))
    cfg = tiny_text(tmp_path, vocabulary_size=500)
    vocabulary = "\n".join(words)
    files = save(cfg, tmp_path, names, vocabulary=vocabulary, max_length=20)
    posts = tmp_path / "unseen"
    posts.mkdir()
    texts = ["topic1 topic2", "", "topic8 nothing topic0"]
    for number, text in enumerate(texts):
        (posts / f"{number}.txt").write_text(text)
    (posts / "3.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(SystemExit):
        main([*files, str(posts), "--out", str(tmp_path / "out")])
    expected = TextPredictor.from_checkpoint(files[1])
    assert expected.vocabulary.words == Vocabulary(words).words
    found = lines(tmp_path / "out")
    np.testing.assert_allclose([line["probabilities"] for line in found], expected(texts))
    assert [line["class"] in names and len(line["set"]) > 0 for line in found] == [True] * 3
    with pytest.raises(ValueError, match="exists and is not overwritten"):
        main([*files, str(posts), "--out", str(tmp_path / "out")])


def test_an_interruption_leaves_no_part_of_the_file(tmp_path, monkeypatch, capsys):
    cfg = tiny_text(tmp_path, vocabulary_size=500)
    files = save(cfg, tmp_path, tuple(map(str, range(20))), vocabulary="word", max_length=9)
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text("word")
    write_line = LineFile._line

    def interrupt_at_1(self, prediction):
        if prediction.input.path.endswith("1.txt"):
            raise KeyboardInterrupt
        return write_line(self, prediction)

    monkeypatch.setattr(LineFile, "_line", interrupt_at_1)
    with pytest.raises(SystemExit) as end:
        run(main, [*files, str(tmp_path), "--out", str(tmp_path / "out")])
    assert end.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted; nothing was written"
    assert list((tmp_path / "out").iterdir()) == []
