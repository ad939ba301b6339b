"""Add metrics to an evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from .loss_site import type_name

__all__ = [
    "SCALED",
    "append_metric",
    "calibration_metric",
    "measure_calibration",
    "metrics_of",
    "with_metric",
    "with_output_names",
    "with_scaled_metrics",
]

SCALED = "scaled"
"""Prefix of the calibration of scaled logits."""


def append_metric(evaluator: Any, metric: Mapping[str, Any]) -> Any:
    """Append a metric to the config of an evaluator, in any form that MMEngine accepts."""
    if isinstance(evaluator, dict) and "metrics" in evaluator:
        return ConfigDict(evaluator, metrics=append_metric(evaluator["metrics"], metric))
    return [*_metrics(evaluator), dict(metric)]


def with_metric(evaluator: Any, options: Mapping[str, Any]) -> Any:
    """Add a ``CalibrationMetric`` to the config of an evaluator, unless it has one."""
    metrics = metrics_of(evaluator)
    names = [type_name(metric) for metric in metrics]
    # `format_only` writes files for a test server, so that split has no labels.
    if "CalibrationMetric" in names or any(metric.get("format_only") for metric in metrics):
        return evaluator
    return append_metric(evaluator, {"type": "CalibrationMetric", **options})


def calibration_metric(evaluator: Any) -> Mapping[str, Any]:
    """The ``CalibrationMetric`` of an evaluator's config, which has one."""
    found: Mapping[str, Any] = _of_type(evaluator, "CalibrationMetric")[0]
    return found


def with_scaled_metrics(evaluator: Any, temperature: float) -> Any:
    """Add the calibration of the logits divided by a temperature, under the prefix ``scaled``.

    Args:
        evaluator: Config of an evaluator with a ``CalibrationMetric``, whose other options the new
            one shares, and perhaps an ``ImageSumsFile``. The new metrics write to files with
            ``-scaled`` before the suffix.
        temperature: Number > 0.
    """
    for own in _of_type(evaluator, "CalibrationMetric", "ImageSumsFile"):
        options = {**own, "temperature": temperature, "prefix": SCALED}
        if type_name(own) == "CalibrationMetric":
            options.update(class_table=False, draw=False)
        if file := own.get("out_file"):
            options["out_file"] = _with_word(file, SCALED)
        evaluator = append_metric(evaluator, options)
    return evaluator


def with_output_names(evaluator: Any, word: str) -> Any:
    """Put a word before the suffix of all files that an evaluator's metrics write."""
    inside = evaluator.get("metrics") if isinstance(evaluator, dict) else None
    if inside is not None:
        return ConfigDict(evaluator, metrics=with_output_names(inside, word))
    return [
        {**metric, "out_file": _with_word(metric["out_file"], word)}
        if metric.get("out_file")
        else metric
        for metric in _metrics(evaluator)
    ]


def _with_word(file: str, word: str) -> str:
    path = Path(file)
    return str(path.with_stem(f"{path.stem}-{word}"))


def measure_calibration(cfg: Config, options: Mapping[str, Any]) -> None:
    """Make the test of a config measure calibration, whatever framework it is of.

    Args:
        cfg: The config, which is changed.
        options: Arguments of the ``CalibrationMetric``, if it has none yet.

    Raises:
        ValueError: If the test split has no labels.
    """
    cfg.test_evaluator = with_metric(cfg.test_evaluator, options)
    if not _of_type(cfg.test_evaluator, "CalibrationMetric"):
        raise ValueError(
            "the test_evaluator has format_only, for a test split without labels, so there is no "
            "calibration to measure; test on data with labels"
        )
    hooks = list(cfg.get("custom_hooks") or [])
    if "KeepLogitsHook" not in map(type_name, hooks):
        cfg.custom_hooks = [*hooks, {"type": "KeepLogitsHook"}]


def metrics_of(evaluator: Any) -> list[Any]:
    """The metrics in the config of an evaluator, in any form that MMEngine accepts."""
    inside = evaluator.get("metrics") if isinstance(evaluator, dict) else None
    return _metrics(evaluator if inside is None else inside)


def _of_type(evaluator: Any, *names: str) -> list[Any]:
    return [metric for metric in metrics_of(evaluator) if type_name(metric) in names]


def _metrics(evaluator: Any) -> list[Any]:
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
