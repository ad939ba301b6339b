"""Add the calibration metric to an evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict

from .loss_site import type_name

__all__ = ["with_metric"]


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
