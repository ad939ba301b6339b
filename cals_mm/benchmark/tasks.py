"""The tasks that methods are compared on, and the columns of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cals_mm.functional import CALIBRATION_VALUES

__all__ = ["REFERENCE", "TASKS", "Column", "Task", "check_methods", "methods_with_config"]

REFERENCE = "ce"
"""The method that the others are compared with."""


@dataclass(frozen=True)
class Column:
    """One figure of the table.

    Attributes:
        key: Name of the metric in what ``tools/test.py --out`` writes.
        heading: Heading of the column.
        better: ``'higher'``, ``'lower'``, or ``'zero'`` where the distance to 0 counts.
        digits: Digits after the point.
    """

    key: str
    heading: str
    better: str
    digits: int = 2


@dataclass(frozen=True)
class Task:
    """What is trained and tested.

    Attributes:
        name: Name on the command line, and of the folder of its runs.
        config: File name, without suffix, of each method's config.
        title: What a reader is told the task is.
        loss: Where the loss stands in the config, as a dotted key.
        main: Column of the task's own metric.
        more: Further columns before those of calibration.
        single_labels: One label a sample, so that single predictions can be kept.
        needs_data: The data do not come with the project or a dependency.
    """

    name: str
    config: str
    title: str
    loss: str
    main: Column
    more: tuple[Column, ...] = ()
    single_labels: bool = False
    needs_data: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the table, from the left."""
        return (self.main, *self.more, *CALIBRATION)


CALIBRATION = tuple(
    Column(f"calibration/{value.name}", value.heading, value.better, value.digits)
    for value in CALIBRATION_VALUES.values()
    if value.compared and value.better
)
_MIOU = Column("mIoU", "mIoU %", "higher")
_ACCURACY = Column("accuracy/top1", "accuracy %", "higher")
_TEXT_ACCURACY = Column("calibration/accuracy", "accuracy %", "higher")
_FEW = (
    Column("long_tail/few_accuracy", "few-shot accuracy %", "higher"),
    Column("long_tail/few_ECE", "few-shot ECE %", "lower"),
)
_SEGMENTATION, _CLASSIFICATION = "model.decode_head.loss_decode", "model.head.loss"

TASKS = {
    task.name: task
    for task in (
        Task("demo", "deeplabv3_demo", "synthetic street scenes", _SEGMENTATION, _MIOU),
        Task(
            "camvid",
            "deeplabv3_camvid",
            "CamVid, all images",
            _SEGMENTATION,
            _MIOU,
            needs_data=True,
        ),
        Task(
            "camvid-80",
            "deeplabv3_camvid-80",
            "CamVid, 80 images",
            _SEGMENTATION,
            _MIOU,
            needs_data=True,
        ),
        Task(
            "digits-lt",
            "resnet_digits-lt",
            "handwritten digits with a long tail",
            _CLASSIFICATION,
            _ACCURACY,
            _FEW,
            single_labels=True,
        ),
        Task(
            "20newsgroups",
            "gpcnn_20newsgroups",
            "20 Newsgroups",
            _CLASSIFICATION,
            _TEXT_ACCURACY,
            single_labels=True,
            needs_data=True,
        ),
        Task(
            "20newsgroups-bydate",
            "gpcnn_20newsgroups-bydate",
            "20 Newsgroups, split by date",
            _CLASSIFICATION,
            _TEXT_ACCURACY,
            single_labels=True,
            needs_data=True,
        ),
    )
}


def methods_with_config(root: Path, task: Task) -> list[str]:
    """Methods that have a config for a task under ``root/configs``, the reference first."""
    found = {file.parent.name for file in (root / "configs").glob(f"*/{task.config}.py")}
    return sorted(found, key=lambda method: (method != REFERENCE, method))


def check_methods(root: Path, task: Task, methods: Sequence[str] | None) -> list[str]:
    """The methods asked for, or all that there are.

    Raises:
        ValueError: If one has no config for the task, or is named twice.
    """
    there = methods_with_config(root, task)
    for method in methods or ():
        if method not in there:
            raise ValueError(
                f"no config of method {method!r} for the task {task.name}; there are: "
                f"{', '.join(there) or 'none'}"
            )
    if methods and len(set(methods)) < len(methods):
        raise ValueError(f"--methods names one twice: {' '.join(methods)}; name each once")
    return list(methods) if methods else there
