"""Find the loss of a config: that of the head that makes the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cals_mm.frameworks.heads import OTHER_SCORES_IN_TRAINING, RETRIEVERS

__all__ = ["LossSite", "find_site", "type_name"]

# Heads whose output is not one softmax over classes per sample or pixel.
NO_SOFTMAX_HEADS = {
    "CSRAClsHead": "scores each label on its own (multi-label)",
    "MultiLabelClsHead": "scores each label on its own (multi-label)",
    "MultiLabelLinearClsHead": "scores each label on its own (multi-label)",
    "MultiTaskHead": "holds one head per task",
    "RegressionHead": "regresses",
    "MaskFormerHead": "classifies masks, not pixels",
    "Mask2FormerHead": "classifies masks, not pixels",
    "SideAdapterCLIPHead": "classifies masks, not pixels",
    "VPDDepthHead": "regresses depth",
}


@dataclass(frozen=True)
class LossSite:
    """The head that makes the prediction.

    Attributes:
        head: Config of the head.
        path: Its path in the config, for messages.
        key: Name of its loss argument, ``"loss_decode"`` or ``"loss"``.
        num_classes: Number of classes K.
        ignore_index: Label of void pixels; None if every sample has a class.
    """

    head: Mapping[str, Any]
    path: str
    key: str
    num_classes: int
    ignore_index: int | None

    @property
    def segmentation(self) -> bool:
        """Whether the head predicts pixels (mmseg) rather than samples (mmpretrain)."""
        return self.key == "loss_decode"


def type_name(config: Mapping[str, Any]) -> str:
    """Class name of a component's config, without scope; the type may also be a class."""
    component = config.get("type")
    if component is None:
        return "None"
    return str(getattr(component, "__name__", component)).rsplit(".", 1)[-1]


def find_site(model: Mapping[str, Any], num_classes: int | None = None) -> LossSite:
    """Find the head that makes the prediction of a segmentor or classifier.

    Args:
        model: The ``model`` of a config.
        num_classes: Number of classes, if the config does not say.

    Raises:
        ValueError: If there is no such head, or if it has no softmax over classes.
    """
    if "decode_head" in model:
        head, path, key = model["decode_head"], "model.decode_head", "loss_decode"
        if not head:
            raise ValueError(f"{path} is {head!r}; a head that predicts classes is needed")
        if isinstance(head, (list, tuple)):
            head, path = head[-1], f"model.decode_head[{len(head) - 1}]"
        if "kernel_generate_head" in head:  # K-Net: this head's loss serves every stage
            head, path = head["kernel_generate_head"], path + ".kernel_generate_head"
    elif model.get("head"):
        head, path, key = model["head"], "model.head", "loss"
    else:
        raise ValueError(
            f"the model {type_name(model)!r} has neither decode_head nor head, so there is no "
            "loss to replace; a classifier or segmentor with a head is needed (TimmClassifier and "
            "HuggingFaceClassifier, which are their own head, take loss=dict(type='CALSLoss', ...))"
        )

    if not isinstance(head, Mapping):
        raise ValueError(f"{path} is {head!r}; the config of a head is needed, dict(type=...)")
    name = type_name(head)
    _refuse_model(model, path, name)
    if name == "MultiLabelLinearClsHead" and _mixes_images(model):
        raise ValueError(
            f"{path} is a {name}, which scores each label on its own, for mixup or cutmix; a "
            "softmax takes their soft targets too: set type='LinearClsHead' in it"
        )
    if name in NO_SOFTMAX_HEADS:
        raise ValueError(
            f"{path} is a {name}, which {NO_SOFTMAX_HEADS[name]}; a head with one softmax "
            "over all classes is needed"
        )
    if head.get("out_channels") == 1:
        raise ValueError(
            f"{path} has out_channels=1, a sigmoid; one logit for each class is needed: "
            "set out_channels=2 and a softmax loss"
        )
    if num_classes is None:
        # With mmpretrain's plain ClsHead, the last layer is in the backbone.
        places = (head, model.get("backbone") or {}, model.get("data_preprocessor") or {})
        num_classes = next((p["num_classes"] for p in places if p.get("num_classes")), None)
    if num_classes is None:
        raise ValueError(
            f"{path} ({name}) of the {type_name(model)} does not say a number of classes, so it "
            "seems to predict none; if it does, pass num_classes=... (on the command line "
            "--method-options num_classes=...)"
        )
    if not isinstance(num_classes, int):
        raise ValueError(f"{path} has num_classes={num_classes!r}; a whole number is needed")
    if num_classes < 2:
        raise ValueError(
            f"{path} has num_classes={num_classes}; a softmax needs at least two classes"
        )
    ignore_index = head.get("ignore_index", 255) if key == "loss_decode" else None
    return LossSite(head, path, key, num_classes, ignore_index)


def _refuse_model(model: Mapping[str, Any], path: str, head: str) -> None:
    if type_name(model) in RETRIEVERS:
        raise ValueError(
            f"the model {type_name(model)} ranks images and predicts no classes; a classifier or "
            "segmentor is needed"
        )
    if head in OTHER_SCORES_IN_TRAINING:
        raise ValueError(
            f"{path} is an {head}, which {OTHER_SCORES_IN_TRAINING[head]}: what the validation "
            "teaches would not fit the training; take another head, LinearClsHead say"
        )


def _mixes_images(model: Mapping[str, Any]) -> bool:
    """Whether a classifier trains with mixup, cutmix or similar."""
    places = (model.get("train_cfg") or {}, model.get("data_preprocessor") or {})
    return any(place.get("augments") or place.get("batch_augments") for place in places)
