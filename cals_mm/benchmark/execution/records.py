"""Read the held-out figures and checkpoints of a training run from its folder."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from cals_mm.config import counts_iterations
from cals_mm.runs import check_checkpoint

__all__ = [
    "best_epoch",
    "checkpoint_file",
    "held_out_records",
    "late_gap",
    "resume_from",
    "unit_of",
]

Unit = Literal["epoch", "iter"]


def held_out_records(folder: Path, main: str) -> dict[int, dict[str, float]]:
    """Read the figures of every validation of a run, by epoch.

    A resumed run has one log for each start; if an epoch was validated twice, the later figures are
    used. An incomplete last line, left by a killed run, is skipped.

    Args:
        folder: Folder of the run.
        main: Key of the metric that selects the best checkpoint; lines with it are validations.
    """
    records = {}
    for file in sorted(folder.glob("*/vis_data/scalars.json")):
        for line in file.read_text("utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if main in record:
                records[int(record["step"])] = record
    return records


def best_epoch(records: dict[int, dict[str, float]], main: str, rule: str) -> int:
    """Epoch with the best value of ``main``; the first of equal ones, as in MMEngine.

    Raises:
        ValueError: If nothing was validated.
    """
    if not records:
        raise ValueError(f"no validation with {main} is in the logs, so no checkpoint is the best")
    sign = 1 if rule == "greater" else -1
    return max(sorted(records), key=lambda epoch: sign * records[epoch][main])


def late_gap(records: dict[int, dict[str, float]]) -> float:
    """Mean of abs(confidence - accuracy) over the last third of the validations, in percent.

    Raises:
        ValueError: If nothing was validated.
    """
    if not records:
        raise ValueError("no validation is in the logs")
    late = sorted(records)[-math.ceil(len(records) / 3) :]
    return statistics.fmean(abs(records[epoch]["calibration/gap"]) for epoch in late)


def checkpoint_file(
    folder: Path, main: str, rule: str, which: str, unit: Unit = "epoch"
) -> tuple[int, Path]:
    """Epoch (or iteration) and file of the checkpoint to test.

    The file need not exist: those of tested runs may be deleted.

    Args:
        folder: Folder of the run.
        main: Key of the metric that selects the best checkpoint.
        rule: ``'greater'`` or ``'less'``.
        which: ``'best'`` on the held-out data, or ``'last'``.
        unit: What the training counts.

    Raises:
        ValueError: If no checkpoint was saved, or nothing was validated to find the best by.
    """
    records = held_out_records(folder, main)
    if which == "best":
        epoch = best_epoch(records, main, rule)
        return epoch, _best_file(folder, main, epoch, unit)
    epochs = [*records, *(epoch for epoch, _ in _saved_files(folder, unit))]
    if not epochs:
        raise ValueError(f"neither a checkpoint nor a validation is in {str(folder)!r}")
    return max(epochs), folder / f"{unit}_{max(epochs)}.pth"


def resume_from(folder: Path, cfg: Any) -> Path | None:
    """Find the checkpoint from which an interrupted run can be resumed without any difference.

    MMEngine writes the checkpoint of an epoch before the validation of that epoch, which a resumed
    run does not repeat. So a checkpoint is used only if the validation due after it is in the log,
    and the best checkpoint from that validation is complete.

    Args:
        folder: Folder of the run.
        cfg: Its config.

    Returns:
        The newest such checkpoint; None if the run must start from the beginning.
    """
    main, rule = cfg.default_hooks.checkpoint.save_best, cfg.default_hooks.checkpoint.rule
    unit = unit_of(cfg)
    records = held_out_records(folder, main)
    # The end is always validated.
    interval, end = cfg.train_cfg.get("val_interval", 1), cfg.train_cfg.get(f"max_{unit}s")
    begin = cfg.train_cfg.get("val_begin", 1)
    if unit == "iter":
        # A hook may validate more often than the config says.
        if not records:
            return None
        interval = min(records)
    for step, file in sorted(_saved_files(folder, unit), reverse=True):
        past = {number: record for number, record in records.items() if number <= step}
        if (step % interval == 0 and step >= begin) or step == end:
            if step not in past:
                continue
            if not _whole(_best_file(folder, main, best_epoch(past, main, rule), unit)):
                continue
        if _whole(file):
            return file
    return None


def unit_of(cfg: Any) -> Unit:
    """What the training of a config counts, as in the names of its checkpoints."""
    return "iter" if counts_iterations(cfg.get("train_cfg") or {}) else "epoch"


def _best_file(folder: Path, main: str, number: int, unit: Unit) -> Path:
    return folder / f"best_{main.replace('/', '_')}_{unit}_{number}.pth"


def _saved_files(folder: Path, unit: Unit) -> Iterable[tuple[int, Path]]:
    for file in folder.glob(f"{unit}_*.pth"):
        if match := re.fullmatch(rf"{unit}_(\d+)\.pth", file.name):
            yield int(match[1]), file


def _whole(file: Path) -> bool:
    try:
        check_checkpoint(str(file))
    except (OSError, ValueError):
        return False
    return True
