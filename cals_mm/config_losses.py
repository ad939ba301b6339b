"""Where the loss of a config sits, and what `CALSLoss` replaces it.

`find_site` finds the head that makes the prediction; `to_cals_loss` turns the loss it has into
one with the CALS penalty. Both only read; `cals_mm.config.add_cals` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

# Heads that use the entries of `loss_decode` for different outputs: the index of the entry that
# sees the logits which the head predicts with.
LOSS_OF_PREDICTION = {"PIDHead": 1, "DDRHead": 0}

# mmpretrain's losses that are sigmoid losses unless their config says otherwise.
SIGMOID_BY_DEFAULT = {"AsymmetricLoss": True, "FocalLoss": True}

PLAIN_CE_KEYS = {"type", "_scope_", "loss_weight", "loss_name", "avg_non_ignore", "use_soft"}
NEUTRAL_VALUES: dict[str, Any] = {
    "use_sigmoid": (False, None),
    "use_mask": (False,),
    "class_weight": (None,),
    "pos_weight": (None,),
    "reduction": ("mean",),
}


@dataclass(frozen=True)
class LossSite:
    """The head that makes the prediction.

    Attributes:
        head: Config of the head.
        path: Its place in the config, for messages.
        key: Name of its loss argument, ``"loss_decode"`` or ``"loss"``.
        num_classes: Number of classes K.
        ignore_index: Label of void pixels; None where every sample has a class.
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
    """Class name of a component config, without scope; the type may also be the class itself."""
    kind = config.get("type")
    if kind is None:
        return "None"
    return str(getattr(kind, "__name__", kind)).rsplit(".", 1)[-1]


def find_site(model: Mapping[str, Any], num_classes: int | None = None) -> LossSite:
    """Find the head that makes the prediction of a segmentor or classifier.

    Args:
        model: The ``model`` of a config.
        num_classes: Number of classes, where the config does not say.

    Raises:
        ValueError: If there is no such head, or if it has no softmax over classes.
    """
    if "decode_head" in model:
        head, path, key = model["decode_head"], "model.decode_head", "loss_decode"
        if isinstance(head, (list, tuple)):
            head, path = head[-1], f"model.decode_head[{len(head) - 1}]"
        if "kernel_generate_head" in head:  # K-Net: this head's loss serves every stage
            head, path = head["kernel_generate_head"], path + ".kernel_generate_head"
    elif model.get("head"):
        head, path, key = model["head"], "model.head", "loss"
    else:
        raise ValueError(
            f"the model {type_name(model)!r} has neither decode_head nor head, so CALS finds no "
            "loss to extend; set CALSLoss in the config by hand"
        )

    name = type_name(head)
    if name in NO_SOFTMAX_HEADS:
        raise ValueError(
            f"{path} is a {name}, which {NO_SOFTMAX_HEADS[name]}; CALS needs a head with one "
            "softmax over all classes"
        )
    if head.get("out_channels") == 1:
        raise ValueError(
            f"{path} has out_channels=1, a sigmoid; CALS needs one logit per class: set "
            "out_channels=2 and a softmax loss"
        )
    if num_classes is None:
        # mmpretrain's plain ClsHead leaves the last layer to the backbone.
        places = (head, model.get("backbone") or {}, model.get("data_preprocessor") or {})
        num_classes = next((p["num_classes"] for p in places if p.get("num_classes")), None)
    if num_classes is None:
        raise ValueError(
            f"{path} ({name}) does not say its number of classes; if it classifies, pass "
            "num_classes=..."
        )
    if num_classes < 2:
        raise ValueError(
            f"{path} has num_classes={num_classes}; CALS needs at least two classes under a softmax"
        )
    ignore_index = head.get("ignore_index", 255) if key == "loss_decode" else None
    return LossSite(head, path, key, num_classes, ignore_index)


def to_cals_loss(site: LossSite, options: Mapping[str, Any]) -> Any:
    """The loss config, or list of loss configs, of the head with CALS in it.

    Args:
        site: From `find_site`.
        options: Arguments of ``CALSLoss``; they win over what the replaced loss says.

    Raises:
        ValueError: If the loss trains sigmoid outputs.
    """
    losses = site.head.get(site.key) or {"type": "CrossEntropyLoss"}
    if not isinstance(losses, (list, tuple)):
        return _replace(losses, site, options)
    index = LOSS_OF_PREDICTION.get(type_name(site.head))
    if index is None:
        softmax = [i for i, loss in enumerate(losses) if type_name(loss) == "CrossEntropyLoss"]
        index = softmax[0] if softmax else 0
    return [_replace(loss, site, options) if i == index else loss for i, loss in enumerate(losses)]


def _replace(loss: Mapping[str, Any], site: LossSite, options: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_sigmoid(loss, site)
    config: dict[str, Any] = {"type": "CALSLoss", "num_classes": site.num_classes}
    if site.segmentation:
        config["ignore_index"] = site.ignore_index
    # A pixel sampler passes weights that mmseg's own losses normalise in their own way.
    fused = None if site.head.get("sampler") else _fused_arguments(loss, site)
    if fused is None:
        config["base_loss"] = loss
    else:
        config.update(fused)
    return {**config, **options}


def _refuse_sigmoid(loss: Mapping[str, Any], site: LossSite) -> None:
    name = type_name(loss)
    default = not site.segmentation and SIGMOID_BY_DEFAULT.get(name, False)
    multi_label = loss.get("mode") == "multi_label"
    # mmseg's sigmoid focal and Dice losses train heads that still predict by arg-max over classes.
    binary = not site.segmentation or name == "CrossEntropyLoss"
    if multi_label or (binary and loss.get("use_sigmoid", default)):
        raise ValueError(
            f"the {name} of {site.path} trains sigmoid outputs; CALS constrains a softmax over "
            "classes: set use_sigmoid=False"
        )


def _fused_arguments(loss: Mapping[str, Any], site: LossSite) -> dict[str, Any] | None:
    """Arguments of the fused loss that say the same, or None where nothing says the same."""
    name = type_name(loss)
    arguments: dict[str, Any] = {}
    keys = set(PLAIN_CE_KEYS)
    if name == "LabelSmoothLoss":
        keys |= {"label_smooth_val", "mode", "num_classes"}
        smoothing = loss["label_smooth_val"]
        if loss.get("mode", "original") == "classy_vision":
            smoothing = smoothing / (1 + smoothing)
        arguments["label_smoothing"] = smoothing
    elif name != "CrossEntropyLoss":
        return None
    for key, value in loss.items():
        if key not in keys and value not in NEUTRAL_VALUES.get(key, ()):
            return None
    if loss.get("loss_weight", 1.0) != 1.0:
        arguments["loss_weight"] = loss["loss_weight"]
    return arguments
