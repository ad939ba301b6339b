"""A task made of any config of mmseg, mmpretrain or text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from cals_mm.config import find_site, metrics_of, type_name

from .tasks import LATE_GAP, Column, Task

__all__ = ["task_of", "with_columns_of"]

_ACCURACY = Column("calibration/accuracy", "accuracy %", "higher")


def task_of(cfg: Config, file: Path) -> Task:
    """Make the task of a config.

    The main figure is the mIoU or the top-1 accuracy of its own evaluator, or else the accuracy
    that the calibration metric counts. Further columns are known once a run is tested, see
    :func:`with_columns_of`.

    Args:
        cfg: The config.
        file: Its file.

    Raises:
        ValueError: If it has no validation or test split, its head no softmax over classes, or if
            its figures could not be read.
    """
    for split in ("val", "test"):
        for part in ("dataloader", "evaluator", "cfg"):
            if cfg.get(f"{split}_{part}") is None:
                raise ValueError(
                    f"the config {file.name} has no {split}_{part}: settings and temperature are "
                    "chosen on held-out data, and methods compared on test data; set both"
                )
        _check_figures(cfg, split, file.name)
    found = {column.key: column for column in _main_columns(cfg.test_evaluator)}
    held_out = {column.key for column in _main_columns(cfg.val_evaluator)}
    main = next((found[key] for key in found if key in held_out), _ACCURACY)
    return Task(
        name=file.stem,
        config=str(file.resolve()),
        title=file.stem,
        main=main,
        single_labels=not find_site(cfg.model).segmentation,
        own=True,
    )


def with_columns_of(task: Task, figures: Mapping[str, float]) -> Task:
    """Add columns for all other figures that the config's own evaluators give.

    Args:
        task: A task of :func:`task_of`.
        figures: Figures of a test.
    """
    known = {task.main.key, LATE_GAP.key, "data_time", "time", "step"}
    more = [
        Column(key, key, _direction(key))
        for key, value in figures.items()
        if key not in known
        and isinstance(value, (int, float))
        and not key.startswith(("calibration/", "scaled/", "shift/"))
        and ":" not in key
    ]
    return replace(task, more=tuple(more))


def _check_figures(cfg: Config, split: str, name: str) -> None:
    """Reject what would be noticed only after all trainings."""
    for metric in metrics_of(cfg[f"{split}_evaluator"]):
        kind = type_name(metric)
        if metric.get("format_only"):
            raise ValueError(
                f"{kind} of {name} has format_only=True in {split}_evaluator, so it computes no "
                f"figures; compare on a split with labels"
            )
        if kind == "CalibrationMetric" and metric.get("prefix") not in (None, "calibration"):
            raise ValueError(
                f"CalibrationMetric of {name} has prefix={metric.prefix!r} in {split}_evaluator; "
                "methods are compared by its figures: leave the prefix away"
            )
    backends = (cfg.get("visualizer") or {}).get("vis_backends")
    if backends and all(type_name(backend) != "LocalVisBackend" for backend in backends):
        raise ValueError(
            f"the visualizer of {name} writes no scalars.json, from which held-out figures are "
            "read; add dict(type='LocalVisBackend') to its vis_backends"
        )


def _main_columns(evaluator: Any) -> Iterator[Column]:
    for metric in metrics_of(evaluator):
        kind, prefix = type_name(metric), metric.get("prefix")
        if kind == "IoUMetric" and "mIoU" in metric.get("iou_metrics", ["mIoU"]):
            yield Column(f"{prefix}/mIoU" if prefix else "mIoU", "mIoU %", "higher")
        elif kind == "Accuracy":
            ranks = metric.get("topk", (1,))
            if 1 in ((ranks,) if isinstance(ranks, int) else ranks):
                yield Column(f"{prefix or 'accuracy'}/top1", "accuracy %", "higher")


def _direction(key: str) -> str | None:
    """What MMEngine takes for better, by the words in the name of a figure."""
    word = key.lower()
    if any(part.lower() in word for part in CheckpointHook._default_greater_keys):
        return "higher"
    if any(part.lower() in word for part in CheckpointHook._default_less_keys):
        return "lower"
    return None
