"""Add metrics to an evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict

from .loss_site import type_name

__all__ = ["append_metric", "with_metric"]


def append_metric(evaluator: Any, metric: Mapping[str, Any]) -> Any:
    """Append a metric to the config of an evaluator, in any form that MMEngine accepts."""
    if isinstance(evaluator, dict) and "metrics" in evaluator:
        return ConfigDict(evaluator, metrics=append_metric(evaluator["metrics"], metric))
    return [*_metrics(evaluator), dict(metric)]


def with_metric(evaluator: Any, options: Mapping[str, Any]) -> Any:
    """Add a ``CalibrationMetric`` to the config of an evaluator, unless it has one."""
    inside = evaluator.get("metrics") if isinstance(evaluator, dict) else None
    metrics = _metrics(evaluator if inside is None else inside)
    names = [type_name(metric) for metric in metrics]
    # `format_only` writes files for a test server, so that split has no labels.
    if "CalibrationMetric" in names or any(metric.get("format_only") for metric in metrics):
        return evaluator
    return append_metric(evaluator, {"type": "CalibrationMetric", **options})


def _metrics(evaluator: Any) -> list[Any]:
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
