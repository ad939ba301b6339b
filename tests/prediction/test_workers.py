"""Workers that predict on a CPU: results, weights, threads."""

from itertools import pairwise

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

pytest.importorskip("mmseg", reason="mmsegmentation is not installed")

from cals_mm.prediction import Failure, ImageModel, find_inputs
from tests.tiny import make_images, tiny_config


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def case(tmp_path, threads):
    cfg: Config = tiny_config(tmp_path)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        state = MODELS.build(cfg.model).state_dict()
    make_images(tmp_path, "photos", 7)
    folder = tmp_path / "images" / "photos"
    (folder / "3.png").write_bytes(b"broken")
    return ImageModel(cfg, state), find_inputs([str(folder)])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_they_predict_in_order_what_the_model_predicts(case, batch_size):
    model, inputs = case
    expected = list(model.predict(map(model.read, inputs), batch_size))
    with model.workers() as workers:
        given = list(model.predict_files(inputs, workers, batch_size))
    assert [each.input.name for each in given] == [each.name for each in inputs]
    for one, other in zip(given, expected, strict=True):
        assert type(one) is type(other)
        if not isinstance(one, Failure):
            torch.testing.assert_close(one.logits, other.logits)
            assert torch.equal(one.label, other.label)
    assert sum(isinstance(each, Failure) for each in given) == 1
    logits = [each.logits for each in given if not isinstance(each, Failure)]
    assert all(not torch.equal(a, b) for a, b in pairwise(logits))


def test_their_copies_have_the_weights_of_the_model_and_share_its_threads(case, monkeypatch):
    model, inputs = case
    seen = []
    predict = ImageModel.predict

    def watched(self, *args):
        seen.append((self, torch.get_num_threads()))
        return predict(self, *args)

    monkeypatch.setattr(ImageModel, "predict", watched)
    with model.workers() as workers:
        list(model.predict_files(inputs, workers))
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    copies = {id(own): own for own, _ in seen}.values()
    assert 1 <= len(copies) <= 2 and all(own.model is not model.model for own in copies)
    assert {number for _, number in seen} == {1}
    for own in copies:
        weights = zip(own.model.parameters(), model.model.parameters(), strict=True)
        assert all(weight is other for weight, other in weights)


def test_an_exception_in_a_worker_is_raised_and_the_threads_come_back(case, monkeypatch):
    model, inputs = case
    monkeypatch.setattr(model, "read", lambda item: 1 / 0)
    with pytest.raises(ZeroDivisionError), model.workers() as workers:
        list(model.predict_files(inputs, workers))
    assert torch.get_num_threads() == 2
