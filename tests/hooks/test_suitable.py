"""What would go wrong without a word, or late, is refused before the first step."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmpretrain.models.heads import ArcFaceClsHead, LinearClsHead
from torch.nn.functional import one_hot

from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier


@MODELS.register_module()
class MyMarginHead(ArcFaceClsHead):
    """A head of the user's that does as its base does."""


@MODELS.register_module()
class OwnMarginHead(LinearClsHead):
    """Trains with a margin, and predicts without one."""

    def forward(self, feats, target=None):
        scores = super().forward(feats)
        return scores if target is None else scores - one_hot(target, scores.shape[1])

    def loss(self, feats, data_samples, **kwargs):
        target = torch.cat([sample.gt_label for sample in data_samples])
        return {"loss": self.loss_module(self(feats, target), target)}


@MODELS.register_module()
class OwnLabelHead(OwnMarginHead):
    """The same, by another name."""

    def forward(self, feats, *, gt_label=None):
        return super().forward(feats, gt_label)

    def loss(self, feats, data_samples, **kwargs):
        target = torch.cat([sample.gt_label for sample in data_samples])
        return {"loss": self.loss_module(self(feats, gt_label=target), target)}


@HOOKS.register_module()
class NoStepHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        raise AssertionError("a step was made")


def margin_head(root: Path, name: str) -> Config:
    cfg = tiny_classifier(root)
    cfg.model.head.type = name
    return cfg


def more_outputs(root: Path, segmentation: bool) -> Config:
    if segmentation:
        cfg = tiny_config(root)
        cfg.model.decode_head.num_classes = 6
        cfg.model.decode_head.loss_decode.num_classes = 6
        cfg.val_evaluator = [dict(type="IoUMetric"), dict(type="CalibrationMetric", draw=False)]
    else:
        cfg = tiny_classifier(root)
        cfg.model.head.num_classes = cfg.model.head.loss.num_classes = 12
    return cfg


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda root: margin_head(root, "ArcFaceClsHead"), "bare cosine"),
        (lambda root: margin_head(root, "MyMarginHead"), "MyMarginHead, which trains with 64"),
        (lambda root: more_outputs(root, True), "4 classes but the head 6 outputs"),
        (lambda root: more_outputs(root, False), "10 classes but the head 12 outputs"),
    ],
)
def test_refused_before_the_first_step(tmp_path: Path, make, message: str) -> None:
    cfg = make(tmp_path)
    cfg.custom_hooks.append(dict(type="NoStepHook"))
    with pytest.raises(ValueError, match=message) as error:
        train(cfg)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name, argument",
    [("OwnMarginHead", "target"), ("OwnLabelHead", "gt_label"), ("LinearClsHead", None)],
)
def test_a_head_that_is_given_the_labels_is_named(tmp_path: Path, name: str, argument) -> None:
    cfg = margin_head(tmp_path, name)
    train(cfg)
    log = "\n".join(path.read_text() for path in tmp_path.rglob("*.log"))
    said = [line for line in log.splitlines() if "takes the labels" in line]
    assert len(said) == (argument is not None)
    if argument:
        assert f"the forward of {name} takes the labels ({argument})" in said[0]
