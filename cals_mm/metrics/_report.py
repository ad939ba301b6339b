"""What a calibration metric writes to the log, to files and to the visualizer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import MessageHub, MMLogger, print_log

from cals_mm import files
from cals_mm.functional import CalibrationStatistics

__all__ = ["draw", "sample_name", "save", "warn"]


def save(statistics: CalibrationStatistics, path: str) -> None:
    """Write the sums to a file that is the old or the complete new one, whenever it is read."""
    with files.writing(path) as stream:
        torch.save(statistics.to_dict(), stream)


def draw(statistics: CalibrationStatistics, prefix: str) -> None:
    """Give a reliability diagram to the run's Visualizer, if there is one."""
    # Slow to import, and only needed here.
    from mmengine.visualization import Visualizer

    from cals_mm.visualization import reliability_diagram

    if Visualizer._instance_dict:
        stage, step = _stage_and_step()
        # A name with a slash would be written nowhere.
        name = f"{prefix}_{stage}".replace("/", "_")
        picture = reliability_diagram(statistics, f"{stage}, iteration {step}")
        Visualizer.get_current_instance().add_image(name, picture, step=step)


def _stage_and_step() -> tuple[str, int]:
    if not MessageHub._instance_dict:
        return "val", 0
    info = MessageHub.get_current_instance().runtime_info
    stage = info.get("loop_stage")
    return ("test" if stage == "test" else "val"), int(info.get("iter", 0))


def sample_name(sample: Any) -> str:
    """What a data sample is called in a warning."""
    fields = sample if isinstance(sample, Mapping) else sample.to_dict()
    return str(fields.get("img_path") or fields.get("sample_idx") or "a sample without a name")


def warn(message: str) -> None:
    """Log a warning, also where no runner has made a logger."""
    logger = "current" if MMLogger._instance_dict else None
    print_log(message, logger=logger, level=logging.WARNING)
