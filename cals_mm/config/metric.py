"""Add metrics to an evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict

from .loss_site import type_name

__all__ = ["append_metric", "with_metric"]


def append_metric(evaluator: Any, metric: Mapping[str, Any]) -> Any:
    """An evaluator's config, in any form that MMEngine takes, with one more metric."""
    if isinstance(evaluator, dict) and "metrics" in evaluator:
        return ConfigDict(evaluator, metrics=append_metric(evaluator["metrics"], metric))
    return [*_metrics(evaluator), dict(metric)]


def with_metric(evaluator: Any, options: Mapping[str, Any]) -> Any:
    """An evaluator's config with a ``CalibrationMetric`` of these options, if it has none yet."""
    inside = evaluator.get("metrics") if isinstance(evaluator, dict) else None
    metrics = _metrics(evaluator if inside is None else inside)
    names = [type_name(metric) for metric in metrics]
    # `format_only` writes files for a test server: that split has no labels.
    if "CalibrationMetric" in names or any(metric.get("format_only") for metric in metrics):
        return evaluator
    return append_metric(evaluator, {"type": "CalibrationMetric", **options})


def _metrics(evaluator: Any) -> list[Any]:
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
