"""Change the method that a config of mmseg, mmpretrain or this project trains with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

from mmengine.config import Config

from cals_mm.methods import find_method

from ._checks import check_complete, check_options, refuse_stateful, task_values
from .hold_out import hold_out_training_data
from .imports import with_import
from .loss_site import find_site, type_name
from .metric import with_metric
from .replacement import replace_later_losses, replace_loss

__all__ = ["add_cals", "with_method"]


def with_method(
    cfg: Config,
    name: str,
    *,
    num_classes: int | None = None,
    hook: Mapping[str, Any] | None = None,
    metric: Mapping[str, Any] | None = None,
    hold_out: float | None = None,
    hold_out_by: str | None = None,
    **loss_options: Any,
) -> Config:
    """Return a copy of a segmentation, classification or text config that trains with a method.

    The copy differs in four places: ``cals_mm`` is added to ``custom_imports``; the loss of the
    head that makes the prediction becomes that of the method; the hook that the loss needs, and for
    mmpretrain's classifiers the ``KeepLogitsHook``, are added to ``custom_hooks``; and a
    ``CalibrationMetric`` is added to the evaluators of validation and test unless they have one.
    The method ``'ce'`` keeps the loss.

    Plain softmax cross entropy, with or without label smoothing, is replaced. (Losses of this
    package average over valid pixels; mmseg by default divides by the number of all pixels.) Any
    other loss (class weights, OHEM, a pixel sampler, focal, ...) becomes the ``base_loss`` of a
    method that adds a penalty to a loss; other methods drop it, with a warning. In a list of losses
    only the cross entropy is replaced. Auxiliary heads keep their losses, and so do all stages of a
    cascade except the last, which makes the prediction. (PointRend's last stage refines uncertain
    points only.) The losses that mmpretrain's ``SwitchRecipeHook`` brings later are replaced too.

    The config may provide values that depend on the task, such as a margin or the number of
    training samples: ``method_defaults = dict(margin=7.0)``. Options override them.

    The schedule stays unchanged. Learned state changes once per validation, so validate about once
    per epoch. Many configs of the frameworks validate on their test set; the hook refuses that when
    the run starts, unless ``hook=dict(allow_test_data=True)``. With ``hold_out=0.1`` a tenth of the
    training samples becomes the validation set instead, and iteration loops validate about once per
    epoch.

    Args:
        cfg: A config; with a ``val_dataloader`` if the method learns from validation data.
        name: A name in ``cals_mm.methods.METHODS``.
        num_classes: Number of classes; needed only if the config does not say.
        hook: Further arguments of the method's hook.
        metric: Further arguments of ``CalibrationMetric``.
        hold_out: Share of the training samples to validate on, in (0, 1), chosen by their file
            names and read with the validation pipeline. None keeps the validation set of the
            config.
        hold_out_by: How samples are grouped; a group is never divided. 'dir' for the parent folder,
            or a regular expression that finds the group in the path. None means parent folders if
            there are at least ten of them and samples have no label, else single samples, with the
            same share of every class for classifiers.
        **loss_options: Further arguments of the method's loss.

    Raises:
        TypeError: If ``cfg`` is not a config, or an option is not an argument of the loss.
        ValueError: If there is no such method; if the config already has CALS, lacks a validation
            that the method needs, is for another task than the method, or has a head without a
            softmax over classes; if a value is invalid or missing.

    Example:
        >>> from mmengine.config import Config
        >>> head = dict(type='LinearClsHead', num_classes=10, in_channels=8)
        >>> cfg = Config(dict(model=dict(type='ImageClassifier', head=head)))
        >>> with_method(cfg, 'mbls', margin=8.0).model.head.loss.type
        'MbLSLoss'
    """
    if not isinstance(cfg, Config):
        raise TypeError(f"cfg must be an mmengine Config, got {type(cfg).__name__}")
    method = find_method(name)
    check_options(method, hook, loss_options)
    if not cfg.get("model"):
        raise ValueError("the config has no model, so there is no loss to replace")
    if not isinstance(cfg.model, Mapping):
        raise ValueError(f"model is {cfg.model!r}; the config of a model is needed, dict(type=...)")
    refuse_stateful(cfg)
    cfg = copy.deepcopy(cfg)
    try:
        site = find_site(cfg.model, num_classes)
    except ValueError as error:
        if method.hook and not cfg.get("val_dataloader"):
            raise ValueError(f"{error}; and the config has no val_dataloader") from error
        raise
    task = "segmentation" if site.segmentation else "classification"
    if method.only not in (None, task):
        raise ValueError(f"the method {name} is for {method.only}; this config is of {task}")
    if method.loss is not None:
        known = {**method.defaults, **task_values(cfg), "num_classes": site.num_classes}
        taken = {key: known[key] for key in method.takes if key in known}
        options = {**method.arguments, **taken, **loss_options}
        check_complete(method, options)
        site.head[site.key] = replace_loss(site, method, options)  # type: ignore[index]
        replace_later_losses(cfg.get("custom_hooks") or [], site, method, options)
    if method.hook and not cfg.get("val_dataloader"):
        raise ValueError(
            f"the config has no val_dataloader; {name} learns on validation data: set "
            "val_dataloader, val_evaluator and val_cfg to a held-out part of the training set"
        )
    cfg.custom_imports = with_import(cfg.get("custom_imports"))
    if hold_out is not None:
        hold_out_training_data(cfg, hold_out, hold_out_by)
    elif hold_out_by is not None:
        raise ValueError(f"hold_out_by={hold_out_by!r} needs hold_out, a fraction")
    hooks = list(cfg.get("custom_hooks") or [])
    if method.hook:
        hooks.append({"type": method.hook, **(hook or {})})
    # mmpretrain's predictions lack the logits that the metric reads; others hold them.
    mmpretrain = not site.segmentation and type_name(cfg.model) != "TextClassifier"
    if mmpretrain and "KeepLogitsHook" not in map(type_name, hooks):
        hooks.append({"type": "KeepLogitsHook"})
    cfg.custom_hooks = hooks
    options = {"ignore_index": site.ignore_index} if site.segmentation else {}
    for split in ("val", "test"):
        if cfg.get(f"{split}_evaluator"):
            evaluator = cfg[f"{split}_evaluator"]
            cfg[f"{split}_evaluator"] = with_metric(evaluator, {**options, **(metric or {})})
    return cfg


def add_cals(
    cfg: Config,
    margin: float | Literal["auto"] = 10.0,
    *,
    num_classes: int | None = None,
    hook: Mapping[str, Any] | None = None,
    metric: Mapping[str, Any] | None = None,
    hold_out: float | None = None,
    hold_out_by: str | None = None,
    **loss_options: Any,
) -> Config:
    """Return a copy of a config that trains with CALS: :func:`with_method` for ``'cals'``.

    Args:
        cfg: A config with a ``val_dataloader``, on which the multipliers are learned.
        margin: Largest admissible logit distance, in logit units, > 0; 'auto' adjusts it during
            training.
        num_classes: Number of classes; needed only if the config does not say.
        hook: Further arguments of ``CALSMultiplierHook``.
        metric: Further arguments of ``CalibrationMetric``.
        hold_out: As of :func:`with_method`.
        hold_out_by: As of :func:`with_method`.
        **loss_options: Further arguments of ``CALSLoss``, e.g. ``class_reduction="sum"``.

    Raises:
        TypeError, ValueError: As :func:`with_method`.

    Example:
        >>> from mmengine.config import Config
        >>> head = dict(type='LinearClsHead', num_classes=10, in_channels=8)
        >>> cfg = Config(dict(model=dict(type='ImageClassifier', head=head),
        ...                   val_dataloader=dict(batch_size=1)))
        >>> add_cals(cfg, margin=8.0).model.head.loss.type
        'CALSLoss'
    """
    options = {"margin": margin, **loss_options}
    return with_method(
        cfg,
        "cals",
        num_classes=num_classes,
        hook=hook,
        metric=metric,
        hold_out=hold_out,
        hold_out_by=hold_out_by,
        **options,
    )
