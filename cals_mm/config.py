"""Add CALS to a config of mmseg or mmpretrain, and show what that changes."""

from __future__ import annotations

import copy
import difflib
import inspect
import math
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict

from .config_losses import find_site, to_cals_loss, type_name

__all__ = ["add_cals", "config_difference", "with_metric"]

CALS_TYPES = {"CALSLoss", "CALSMultiplierHook"}


def add_cals(
    cfg: Config,
    margin: float = 10.0,
    *,
    num_classes: int | None = None,
    hook: Mapping[str, Any] | None = None,
    metric: Mapping[str, Any] | None = None,
    **loss_options: Any,
) -> Config:
    """Return a copy of a segmentation or classification config that trains with CALS.

    The copy differs in four places: ``custom_imports`` gains ``cals_mm``; the loss of the head
    becomes a ``CALSLoss``; ``custom_hooks`` gains the ``CALSMultiplierHook``, and for classifiers
    the ``KeepLogitsHook``; the evaluators of validation and test gain a ``CalibrationMetric``
    unless they have one.

    A plain softmax cross entropy, with or without label smoothing, becomes the fused ``CALSLoss``
    (which averages over valid pixels; mmseg's default divides by all). Every other loss (class
    weights, OHEM, a pixel sampler, focal, ...) stays, as its ``base_loss``; in a list of losses the
    cross entropy is replaced and the others stay beside it. Auxiliary heads are left alone, and so
    are all stages of a cascade but the last, which makes the prediction that the multipliers are
    learned from. (PointRend's last stage refines uncertain points only, and CALS acts on those.)

    The schedule stays as it is. The multipliers change once per validation, so validate about once
    an epoch. Many configs of the frameworks validate on their test set; the hook refuses that when
    the run starts, unless ``hook=dict(allow_test_data=True)``.

    Args:
        cfg: A config with a ``val_dataloader``, on which the multipliers are learned.
        margin: Largest admissible logit distance, in logit units, > 0.
        num_classes: Number of classes, only where the config does not say.
        hook: More arguments of ``CALSMultiplierHook``.
        metric: More arguments of ``CalibrationMetric``.
        **loss_options: More arguments of ``CALSLoss``, for instance ``class_reduction="sum"``.

    Raises:
        TypeError: If ``cfg`` is no config, or an option is no argument of ``CALSLoss``.
        ValueError: If the config has CALS already, has no validation, or has a head without a
            softmax over classes; if the margin is not positive.

    Example:
        >>> from mmengine.config import Config
        >>> head = dict(type='LinearClsHead', num_classes=10, in_channels=8)
        >>> cfg = Config(dict(model=dict(type='ImageClassifier', head=head),
        ...                   val_dataloader=dict(batch_size=1)))
        >>> add_cals(cfg, margin=8.0).model.head.loss.type
        'CALSLoss'
    """
    if not isinstance(cfg, Config):
        raise TypeError(f"cfg must be an mmengine Config, got {type(cfg).__name__}")
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be a positive number, got {margin}")
    _check_loss_options(loss_options)
    if not cfg.get("model"):
        raise ValueError("the config has no model, so CALS finds no loss to extend")
    if _has_cals(cfg):
        raise ValueError("the config has CALS already; train it without adding CALS again")
    if not cfg.get("val_dataloader"):
        raise ValueError(
            "the config has no val_dataloader; CALS learns its multipliers on validation data: "
            "set val_dataloader, val_evaluator and val_cfg to a held-out part of the training set"
        )

    cfg = copy.deepcopy(cfg)
    site = find_site(cfg.model, num_classes)
    site.head[site.key] = to_cals_loss(site, {"margin": margin, **loss_options})  # type: ignore[index]
    cfg.custom_imports = _with_import(cfg.get("custom_imports"))
    hooks = [*(cfg.get("custom_hooks") or []), {"type": "CALSMultiplierHook", **(hook or {})}]
    if not site.segmentation and "KeepLogitsHook" not in map(type_name, hooks):
        # The metric needs the raw scores in the test loop too, where no multipliers are learned.
        hooks.append({"type": "KeepLogitsHook"})
    cfg.custom_hooks = hooks
    options = {"ignore_index": site.ignore_index} if site.segmentation else {}
    for split in ("val", "test"):
        if cfg.get(f"{split}_evaluator"):
            evaluator = cfg[f"{split}_evaluator"]
            cfg[f"{split}_evaluator"] = with_metric(evaluator, {**options, **(metric or {})})
    return cfg


def with_metric(evaluator: Any, options: Mapping[str, Any]) -> Any:
    """An evaluator's config with a ``CalibrationMetric`` of these options, if it has none yet."""
    if isinstance(evaluator, dict) and "metrics" in evaluator:
        return ConfigDict(evaluator, metrics=with_metric(evaluator["metrics"], options))
    metrics = list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
    names = [type_name(metric) for metric in metrics]
    # `format_only` writes files for a test server: that split has no labels.
    if "CalibrationMetric" in names or any(metric.get("format_only") for metric in metrics):
        return evaluator
    return [*metrics, {"type": "CalibrationMetric", **options}]


def config_difference(before: Config, after: Config) -> str:
    """What two configs differ in, as a unified diff of their text; empty if in nothing."""
    lines = difflib.unified_diff(
        before.pretty_text.splitlines(),
        after.pretty_text.splitlines(),
        fromfile="before",
        tofile="after",
        n=2,
        lineterm="",
    )
    return "\n".join(lines)


def _check_loss_options(options: Mapping[str, Any]) -> None:
    from .losses import CALSLoss

    known = set(inspect.signature(CALSLoss).parameters) - {"num_classes", "margin"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(
            f"CALSLoss has no argument {unknown[0]!r}; it has {', '.join(sorted(known))}"
        )


def _has_cals(value: Any) -> bool:
    if isinstance(value, (dict, Config)):
        if isinstance(value, dict) and type_name(value) in CALS_TYPES:
            return True
        return any(_has_cals(item) for _, item in value.items())
    return isinstance(value, (list, tuple)) and any(_has_cals(item) for item in value)


def _with_import(custom_imports: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = dict(custom_imports or {"allow_failed_imports": False})
    imports = merged.get("imports") or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    merged["imports"] = imports if "cals_mm" in imports else [*imports, "cals_mm"]
    return merged
