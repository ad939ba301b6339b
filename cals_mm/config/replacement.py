"""Replace the loss of a head by that of a method."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cals_mm.methods import Method

from .loss_site import LossSite, type_name

__all__ = ["replace_later_losses", "replace_loss"]

# Heads that use the entries of `loss_decode` for different outputs, with the index of the entry for
# the logits of the prediction.
LOSS_OF_PREDICTION = {"PIDHead": 1, "DDRHead": 0}

# mmsegmentation's heads whose losses all get the logits of the prediction.
ONE_OUTPUT_HEADS = {
    *("ANNHead", "APCHead", "ASPPHead", "CCHead", "DAHead", "DMHead", "DNLHead", "DPTHead"),
    *("DepthwiseSeparableASPPHead", "DepthwiseSeparableFCNHead", "EMAHead", "EncHead", "FCNHead"),
    *("FPNHead", "GCHead", "ISAHead", "LRASPPHead", "LightHamHead", "NLHead", "OCRHead"),
    *("PSAHead", "PSPHead", "PointHead", "SETRMLAHead", "SETRUPHead", "SegformerHead", "UPerHead"),
    "SegmenterMaskTransformerHead",
}

# How to turn a loss into a softmax loss, if not by use_sigmoid=False.
SOFTMAX_CURES = {
    "LabelSmoothLoss": "set mode='original' and leave use_sigmoid out",
    "FocalLoss": "take dict(type='CrossEntropyLoss') or SoftmaxFocalLoss instead",
    "AsymmetricLoss": "take dict(type='CrossEntropyLoss') instead",
}

# mmpretrain's losses that use sigmoids by default.
SIGMOID_BY_DEFAULT = {"AsymmetricLoss": True, "FocalLoss": True}

PLAIN_CE_KEYS = {"type", "_scope_", "loss_weight", "loss_name", "avg_non_ignore", "use_soft"}
NEUTRAL_VALUES: dict[str, Any] = {
    "use_sigmoid": (False, None),
    "use_mask": (False,),
    "class_weight": (None,),
    "pos_weight": (None,),
    "reduction": ("mean",),
}


def replace_loss(site: LossSite, method: Method, options: Mapping[str, Any]) -> Any:
    """Return the loss config, or list of loss configs, for training a head with a method.

    Plain cross entropy is replaced by the loss of the method, which takes over its weight and label
    smoothing if it has such arguments. Any other loss becomes the ``base_loss`` of a method that
    extends losses; other methods drop it, with a warning. In a list only the cross entropy is
    replaced.

    Args:
        site: The head.
        method: The method; it must have a loss.
        options: Arguments of its loss; they override those of the replaced loss.

    Raises:
        ValueError: If the loss of the head trains sigmoid outputs.
    """
    losses = site.head.get(site.key) or {"type": "CrossEntropyLoss"}
    for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
        if not isinstance(loss, Mapping):
            raise ValueError(
                f"{site.path}.{site.key} is {losses!r}; the config of a loss is needed, "
                "dict(type=...)"
            )
    if not isinstance(losses, (list, tuple)):
        return _replace(losses, site, method, options)
    index = LOSS_OF_PREDICTION.get(type_name(site.head))
    if index is None:
        if not losses:
            raise ValueError(f"{site.path}.{site.key} is empty; give the loss of the head")
        softmax = [i for i, loss in enumerate(losses) if "CrossEntropy" in type_name(loss)]
        if len(softmax) > 1 and type_name(site.head) not in ONE_OUTPUT_HEADS:
            raise ValueError(
                f"{site.path} is a {type_name(site.head)} with {len(softmax)} cross entropies, and "
                "which of them sees the logits of the prediction is not known: put the method's "
                "loss in place of that one by hand"
            )
        plain = [i for i in softmax if type_name(losses[i]) == "CrossEntropyLoss"]
        softmax = plain or softmax
        index = softmax[0] if softmax else 0
    return [
        _replace(loss, site, method, options) if i == index else loss
        for i, loss in enumerate(losses)
    ]


def replace_later_losses(
    hooks: Sequence[Mapping[str, Any]], site: LossSite, method: Method, options: Mapping[str, Any]
) -> None:
    """Replace the losses that mmpretrain's ``SwitchRecipeHook`` gives the head later, in place.

    Args:
        hooks: The ``custom_hooks`` of a config.
        site: The head.
        method: The method; it must have a loss.
        options: Arguments of its loss.

    Raises:
        ValueError: If such a loss trains sigmoid outputs.
    """
    for hook in hooks:
        if type_name(hook) != "SwitchRecipeHook":
            continue
        for recipe in hook.get("schedule") or ():
            if recipe.get("loss"):
                path = f"epoch {recipe.get('action_epoch')} of the SwitchRecipeHook"
                head = {**site.head, site.key: recipe["loss"]}
                later = replace(site, head=head, path=path)
                recipe["loss"] = replace_loss(later, method, options)


def _replace(
    loss: Mapping[str, Any], site: LossSite, method: Method, options: Mapping[str, Any]
) -> dict[str, Any]:
    _refuse_sigmoid(loss, site)
    assert method.loss is not None
    known = inspect.signature(method.loss).parameters
    config: dict[str, Any] = {"type": method.loss.__name__}
    if site.segmentation:
        config["ignore_index"] = site.ignore_index
    equal = _fused_arguments(loss)
    if method.extends:
        # mmseg's own losses normalise the weights of a pixel sampler in their own way.
        config.update({"base_loss": loss} if equal is None or site.head.get("sampler") else equal)
    else:
        carried = {key: value for key, value in (equal or {}).items() if key in known}
        if carried != equal:
            said = {key: value for key, value in loss.items() if key != "type"}
            warnings.warn(
                f"the {type_name(loss)} of {site.path} ({said}) is dropped for "
                f"{method.loss.__name__}, which cannot add to it",
                stacklevel=4,
            )
        config.update(carried)
    return {**config, **options}


def _refuse_sigmoid(loss: Mapping[str, Any], site: LossSite) -> None:
    name = type_name(loss)
    default = not site.segmentation and SIGMOID_BY_DEFAULT.get(name, False)
    multi_label = loss.get("mode") == "multi_label"
    # Heads trained with mmseg's sigmoid focal and Dice losses still predict by argmax over classes.
    binary = not site.segmentation or name == "CrossEntropyLoss"
    if multi_label or (binary and loss.get("use_sigmoid", default)):
        raise ValueError(
            f"the {name} of {site.path} trains sigmoid outputs; a softmax over classes is "
            f"needed: {SOFTMAX_CURES.get(name, 'set use_sigmoid=False')}"
        )


def _fused_arguments(loss: Mapping[str, Any]) -> dict[str, Any] | None:
    """Arguments of a softmax cross entropy that differ from the defaults; None for other losses."""
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
