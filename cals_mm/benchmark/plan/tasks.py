"""The tasks on which methods are compared, and the columns of their tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cals_mm.config import SCALED
from cals_mm.functional import CALIBRATION_VALUES

__all__ = [
    "AFTER_TEMPERATURE",
    "CALIBRATION",
    "DEFAULT_SHIFT",
    "LATE_GAP",
    "SHIFT",
    "TASKS",
    "USEFULNESS",
    "Column",
    "Task",
]


@dataclass(frozen=True)
class Column:
    """One figure of the table.

    Attributes:
        key: Name of the metric in the file written by ``tools/test.py --out``.
        heading: Heading of the column.
        better: ``'higher'``, ``'lower'``, or ``'zero'`` if values closer to 0 are better; None if
            the figure is not compared.
        digits: Digits after the decimal point.
    """

    key: str
    heading: str
    better: str | None
    digits: int = 2


@dataclass(frozen=True)
class Task:
    """Model and data to train and test.

    Attributes:
        name: Name on the command line and of the folder of its runs.
        config: Config file of the reference, relative to the root of the project. Methods are
            applied to it with the table of methods.
        title: Title in reports.
        main: Column of the task's own metric.
        more: Further columns before the calibration columns.
        single_labels: Whether there is one label per sample, so that single predictions can be
            kept.
        needs_data: Whether the data come neither with the project nor with a dependency.
        own: Whether it is a config of the user's, which may lack what the project's have.
    """

    name: str
    config: str
    title: str
    main: Column
    more: tuple[Column, ...] = ()
    single_labels: bool = False
    needs_data: bool = False
    own: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the table, from the left."""
        return (self.main, *self.more, *CALIBRATION, *AFTER_TEMPERATURE)

    @property
    def shifted(self) -> tuple[Column, ...]:
        """Columns of figures under shift, means over the corruptions."""
        kept = [column for column in CALIBRATION if column.key in _SHIFTED]
        return tuple(
            replace(column, key=f"{SHIFT}/{column.key}")
            for column in (self.main, *kept, *AFTER_TEMPERATURE)
        )


CALIBRATION = tuple(
    Column(f"calibration/{value.name}", value.heading, value.better, value.digits)
    for value in CALIBRATION_VALUES.values()
    if value.compared
)
USEFULNESS = tuple(
    column
    for column in CALIBRATION
    if column.key.startswith(("calibration/AURC", "calibration/accuracy_"))
)
"""Those of them that tell whether confidence is higher where the prediction is right."""
AFTER_TEMPERATURE = tuple(
    Column(f"{SCALED}/{value.name}", f"{value.name}+T{unit}", value.better, value.digits)
    for value in (CALIBRATION_VALUES["ECE"], CALIBRATION_VALUES["NLL"])
    for unit in [" %" if value.unit == "percent" else ""]
)
"""Columns of the logits divided by a temperature that was fitted on the held-out data."""
LATE_GAP = Column("held_out/late_gap", "held-out abs(conf − acc) %", None)
"""Of the held-out data, the mean over the last third of the validations."""
SHIFT = "shift"
"""Prefix of figures on corrupted test images."""
DEFAULT_SHIFT = ("noise:3", "blur:3", "brightness:3", "contrast:3", "jpeg:3")
"""Corruptions that are tested if none are named."""
_SHIFTED = tuple(f"calibration/{name}" for name in ("ECE", "gap", "NLL", "Brier", "AURC"))
_MIOU = Column("mIoU", "mIoU %", "higher")
_ACCURACY = Column("accuracy/top1", "accuracy %", "higher")
_TEXT_ACCURACY = Column("calibration/accuracy", "accuracy %", "higher")
_FEW = (
    Column("long_tail/few_accuracy", "few-shot accuracy %", "higher"),
    Column("long_tail/few_ECE", "few-shot ECE %", "lower"),
)

TASKS = {
    task.name: task
    for task in (
        Task("demo", "configs/ce/deeplabv3_demo.py", "synthetic street scenes", _MIOU),
        Task(
            "camvid",
            "configs/ce/deeplabv3_camvid.py",
            "CamVid, all images",
            _MIOU,
            needs_data=True,
        ),
        Task(
            "camvid-80",
            "configs/ce/deeplabv3_camvid-80.py",
            "CamVid, 80 images",
            _MIOU,
            needs_data=True,
        ),
        Task(
            "digits-lt",
            "configs/ce/resnet_digits-lt.py",
            "handwritten digits with a long tail",
            _ACCURACY,
            _FEW,
            single_labels=True,
        ),
        Task(
            "20newsgroups",
            "configs/ce/gpcnn_20newsgroups.py",
            "20 Newsgroups",
            _TEXT_ACCURACY,
            single_labels=True,
            needs_data=True,
        ),
        Task(
            "20newsgroups-bydate",
            "configs/ce/gpcnn_20newsgroups-bydate.py",
            "20 Newsgroups, split by date",
            _TEXT_ACCURACY,
            single_labels=True,
            needs_data=True,
        ),
        Task(
            "stdlib-docs",
            "configs/ce/meanmlp_stdlib-docs.py",
            "subjects of docstrings of Python's standard library",
            _TEXT_ACCURACY,
            single_labels=True,
        ),
    )
}
