"""Probabilities where logits are expected do not pass without a word."""

import warnings
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from mmpretrain.models.heads import LinearClsHead
from mmseg.models.segmentors import EncoderDecoder

from cals_mm import CalibrationMetric
from cals_mm.core import ClassTemperatureScaler, TemperatureScaler, VectorScaler, suggest_margin
from cals_mm.functional import calibration_statistics
from cals_mm.functional._probabilities import LogitsCheck, are_probabilities
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier

torch.manual_seed(0)
LOGITS = 6 * torch.randn(60, 10)
TARGET = LOGITS.argmax(1)
MAPS = 3 * torch.randn(2, 4, 8, 9)

CALLS = {
    "statistics": calibration_statistics,
    "temperature": lambda z, y: TemperatureScaler().fit(z, y),
    "class temperature": lambda z, y: ClassTemperatureScaler(10).fit(z, y),
    "vector": lambda z, y: VectorScaler(10).fit(z, y),
    "margin": suggest_margin,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_a_warning_names_the_cure(name, dtype):
    with pytest.warns(UserWarning, match="logits are probabilities.*before the softmax"):
        CALLS[name](LOGITS.softmax(1).to(dtype), TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[name](LOGITS, TARGET)


@pytest.mark.parametrize(
    "scores, expected",
    [
        (LOGITS.softmax(1), True),
        (MAPS.softmax(1), True),
        (MAPS.softmax(1).bfloat16(), True),
        (torch.rand(1, 3, 500, 900).softmax(1), True),
        (LOGITS, False),
        (LOGITS.sigmoid(), False),
        (LOGITS.log_softmax(1), False),
        (LOGITS.relu(), False),
        (torch.cat([LOGITS.softmax(1), LOGITS[:1]]), False),
        (MAPS.softmax(2), False),
        (torch.full((3, 4), float("nan")), False),
        (torch.zeros(0, 4), False),
    ],
)
def test_what_is_taken_for_probabilities(scores, expected):
    assert are_probabilities(scores) is expected


# What a mask-classifying head predicts: classes of queries times their masks, summed up.
QUERIES = 6 * torch.randn(8, 5)
MASKS = 4 * torch.randn(8, 20, 20)
MASK_SCORES = torch.einsum("qk,qhw->khw", QUERIES.softmax(1)[:, :-1], MASKS.softmax(0))[None]
FEATURES = torch.rand(500, 16)


@pytest.mark.parametrize(
    "logits, expected",
    [
        (MASK_SCORES, True),
        (1.05 * MASK_SCORES.bfloat16(), True),
        ((3 * torch.randn(500, 5)).sigmoid(), True),
        (torch.cosine_similarity(FEATURES[:, None], FEATURES[:9], dim=2), True),
        (LOGITS.softmax(1), True),  # few, but they sum to one
        (LOGITS.sigmoid(), False),  # few
        (6 * torch.randn(500, 5), False),
        ((6 * torch.randn(500, 5)).relu(), False),
        (torch.nn.functional.softplus(6 * torch.randn(500, 5)), False),
        (torch.zeros(500, 5), False),  # a last layer that begins at zero
        (0.01 * FEATURES, False),  # an untrained one
        (torch.full((500, 5), float("nan")), False),
        (torch.cat([torch.rand(500, 5), -torch.rand(1, 5)]), False),
    ],
)
@pytest.mark.parametrize("batch", [7, 500])
def test_what_is_taken_for_scores(logits, expected, batch):
    check = LogitsCheck()
    assert check.warning() is None
    for part in logits.split(batch):
        check.add(part)
    assert (check.warning() is not None) is expected


def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    logger = MMLogger.get_instance("not_logits")
    monkeypatch.setattr(logger, "log", lambda level, text, *rest: lines.append(text))
    return lines


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.filterwarnings("ignore:the logits are")
def test_the_metric_says_it_once(maps, monkeypatch):
    lines = said(monkeypatch)
    scores = MAPS.softmax(1) if maps else LOGITS.softmax(1)
    for probabilities, wrong in ((False, True), (True, False)):
        metric = CalibrationMetric(probabilities=probabilities, draw=False, class_table=False)
        for one, label in zip(scores, scores.argmax(1)):
            sample = {"seg_logits": {"data": one}, "gt_sem_seg": {"data": label[None]}}
            if not maps:
                sample = {"logits": one, "gt_label": label}
            metric.process(None, [sample])
        metric.evaluate(len(scores))
        assert sum("are probabilities" in line for line in lines) == wrong
        lines.clear()


@pytest.mark.parametrize("maps", [False, True])
def test_the_metric_tells_scores(maps, monkeypatch):
    lines = said(monkeypatch)
    metric = CalibrationMetric(draw=False, class_table=False)
    label = torch.zeros(1, 20, 20, dtype=torch.long)
    samples = [{"seg_logits": {"data": MASK_SCORES[0]}, "gt_sem_seg": {"data": label}}]
    if not maps:
        samples = [{"logits": one, "gt_label": label[0, 0, :1]} for one in torch.rand(200, 4)]
    for _ in range(2):
        metric.process(None, samples)
        metric.evaluate(len(samples))
        assert sum("mask classification" in line for line in lines) == 1
        lines.clear()


@MODELS.register_module()
class SigmoidSegmentor(EncoderDecoder):
    """A segmentor that predicts with a sigmoid for each class."""

    def predict(self, inputs, data_samples=None):
        samples = super().predict(inputs, data_samples)
        for sample in samples:
            sample.seg_logits.data = sample.seg_logits.data.sigmoid()
        return samples


@MODELS.register_module()
class SoftmaxSegmentor(EncoderDecoder):
    """A segmentor that predicts with a softmax of its own."""

    def predict(self, inputs, data_samples=None):
        samples = super().predict(inputs, data_samples)
        for sample in samples:
            sample.seg_logits.data = sample.seg_logits.data.softmax(0)
        return samples


@MODELS.register_module()
class MaskSegmentor(EncoderDecoder):
    """A segmentor that predicts by sums of masks, weighted with the classes of their queries."""

    def predict(self, inputs, data_samples=None):
        samples = super().predict(inputs, data_samples)
        weights = torch.linspace(0.6, 0.9, 4)[:, None, None]
        for sample in samples:
            scores = weights * sample.seg_logits.data.sigmoid()
            sample.seg_logits.data = scores
            sample.pred_sem_seg.data = scores.argmax(0, keepdim=True)
        return samples


@MODELS.register_module()
class SoftmaxHead(LinearClsHead):
    """A head of a classifier that ends in a softmax, after which the framework takes another."""

    def forward(self, feats):
        return super().forward(feats).softmax(1)


@MODELS.register_module()
class NormalisedHead(LinearClsHead):
    """The same by the sum of exponentials."""

    def forward(self, feats):
        scores = super().forward(feats).exp()
        return scores / scores.sum(1, keepdim=True)


@pytest.mark.parametrize(
    "name, text",
    [
        ("SoftmaxSegmentor", "the logits are probabilities"),
        ("SoftmaxHead", "the logits are probabilities"),
        ("NormalisedHead", "the logits are probabilities"),
        ("SigmoidSegmentor", "the logits seem to be scores"),
        ("MaskSegmentor", "the logits seem to be scores"),
    ],
)
def test_the_hook_says_it(tmp_path: Path, name: str, text: str) -> None:
    if name.endswith("Head"):
        cfg = tiny_classifier(tmp_path, steps=1, model__head__type=name)
        cfg.val_evaluator = dict(type="Accuracy")
        cfg.custom_hooks.append(dict(type="KeepLogitsHook"))
    else:
        cfg = tiny_config(tmp_path, steps=1, model__type=name)
    train(cfg)
    log = "\n".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    assert log.count(text) == 1
