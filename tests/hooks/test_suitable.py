"""What would go wrong without a word, or late, is refused before the first step."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmpretrain.models.heads import ArcFaceClsHead

from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier


@MODELS.register_module()
class MyMarginHead(ArcFaceClsHead):
    """A head of the user's that does as its base does."""


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
