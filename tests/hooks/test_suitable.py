"""What would go wrong without a word, or late, is refused before the first step."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmpretrain.models import BaseRetriever, ImageToImageRetriever
from mmpretrain.models.heads import ArcFaceClsHead, LinearClsHead
from mmpretrain.registry import MODELS as mmpretrain
from mmseg.models import FCNHead
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


@MODELS.register_module()
class ScaledLossHead(LinearClsHead):
    """Trains with its scores times 4, in the loss alone."""

    def _get_loss(self, cls_score, data_samples, **kwargs):
        return super()._get_loss(4 * cls_score, data_samples, **kwargs)


@MODELS.register_module()
class ScaledTrainingHead(LinearClsHead):
    """Divides its scores in training mode."""

    def forward(self, feats):
        scores = super().forward(feats)
        return scores / 2 if self.training else scores


@MODELS.register_module()
class RandomMarginHead(OwnMarginHead):
    """Trains with random margins."""

    def forward(self, feats, target=None):
        scores = super().forward(feats, target)
        return scores if target is None else scores * torch.rand(1)


@MODELS.register_module()
class ShiftedHead(LinearClsHead):
    """Trains with scores that have the same softmax."""

    def _get_loss(self, cls_score, data_samples, **kwargs):
        return super()._get_loss(cls_score + 3, data_samples, **kwargs)


@MODELS.register_module()
class ScaledFCNHead(FCNHead):
    """Trains with its scores times 4, in the loss alone."""

    def loss_by_feat(self, seg_logits, batch_data_samples):
        return super().loss_by_feat(4 * seg_logits, batch_data_samples)


@MODELS.register_module()
class OwnRetriever(ImageToImageRetriever):
    """A retriever of the user's."""


@MODELS.register_module()
class PlainRetriever(BaseRetriever):
    """A retriever made from the base alone."""

    def __init__(self, image_encoder, head, prototype, data_preprocessor) -> None:
        data_preprocessor["type"] = "mmpretrain.ClsDataPreprocessor"
        super().__init__(prototype, data_preprocessor)
        self.image_encoder, self.head = mmpretrain.build(image_encoder), mmpretrain.build(head)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return self.head.loss(self.image_encoder(inputs), data_samples)


@HOOKS.register_module()
class NoStepHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        raise AssertionError("a step was made")


def margin_head(root: Path, name: str) -> Config:
    cfg = tiny_classifier(root)
    cfg.model.head.type = name
    return cfg


def scaled_segmentor(root: Path) -> Config:
    return tiny_config(root, model__decode_head__type="ScaledFCNHead")


def retriever(root: Path, name: str) -> Config:
    cfg = tiny_classifier(root)
    model = cfg.model
    encoder = [model.pop("backbone"), model.pop("neck")]
    model.update(type=name, image_encoder=encoder, prototype="vectors.pth")
    return cfg


def joined(root: Path) -> Config:
    cfg = more_outputs(root, True)
    parts = [cfg.val_dataloader.dataset] * 2
    cfg.val_dataloader.dataset = dict(type="ConcatDataset", datasets=parts)
    return cfg


def fewer_outputs(root: Path) -> Config:
    cfg = tiny_classifier(root)
    cfg.model.head.num_classes = cfg.model.head.loss.num_classes = 9
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
        (lambda root: margin_head(root, "MyMarginHead"), "head MyMarginHead trains with 64"),
        (lambda root: margin_head(root, "OwnMarginHead"), "OwnMarginHead is given other scores"),
        (lambda root: margin_head(root, "OwnLabelHead"), "OwnLabelHead is given other scores"),
        (lambda root: margin_head(root, "ScaledLossHead"), "ScaledLossHead is given other scores"),
        (lambda root: margin_head(root, "ScaledTrainingHead"), "TrainingHead is given other"),
        (scaled_segmentor, "ScaledFCNHead is given other scores"),
        (lambda root: more_outputs(root, True), "4 classes but the head 6 outputs"),
        (lambda root: more_outputs(root, False), "10 classes but the head 12 outputs"),
        (joined, "4 classes but the head 6 outputs"),
        (fewer_outputs, "10 classes but the head 9 outputs"),
        (
            lambda root: retriever(root, "ImageToImageRetriever"),
            "the model ImageToImageRetriever ranks images",
        ),
        (lambda root: retriever(root, "OwnRetriever"), "model OwnRetriever ranks images"),
        (lambda root: retriever(root, "PlainRetriever"), "model PlainRetriever ranks images"),
    ],
)
def test_refused_before_the_first_step(tmp_path: Path, make, message: str) -> None:
    cfg = make(tmp_path)
    cfg.custom_hooks.append(dict(type="NoStepHook"))
    with pytest.raises(ValueError, match=message) as error:
        train(cfg)
    assert "\n" not in str(error.value)


def test_a_head_that_is_given_the_labels_is_named_where_it_cannot_be_tried(tmp_path: Path) -> None:
    train(margin_head(tmp_path, "RandomMarginHead"))
    log = "\n".join(path.read_text() for path in tmp_path.rglob("*.log"))
    (said,) = [line for line in log.splitlines() if "takes the labels" in line]
    assert "the forward of RandomMarginHead takes the labels (target)" in said


@pytest.mark.parametrize("name", ["LinearClsHead", "ShiftedHead"])
def test_the_same_scores_are_trained_on_without_a_word(tmp_path: Path, name: str) -> None:
    train(margin_head(tmp_path, name))
    assert all("takes the labels" not in path.read_text() for path in tmp_path.rglob("*.log"))
