"""Output of a calibration metric to the log, to files and to the visualizer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub, print_log

from cals_mm import files
from cals_mm.frameworks.reporting import never_fatal
from cals_mm.functional import CalibrationStatistics

from .class_table import class_table

__all__ = ["check_out_file", "draw", "log_classes", "name_of", "save"]


def check_out_file(metric: str, path: str) -> str:
    """Return a path after creating its folder and checking that the file can be written.

    Raises:
        ValueError: If it cannot be written.
    """
    if os.path.isdir(path):
        raise ValueError(f"{metric}(out_file={path!r}) is a folder; give the name of a file")
    try:
        files.probe(os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        raise ValueError(
            f"{metric}(out_file={path!r}) cannot be written ({error.strerror}); give a file in "
            "another folder"
        ) from error
    return path


def save(statistics: CalibrationStatistics, path: str) -> None:
    """Write the sums to a file, atomically."""
    with files.writing(path) as stream:
        torch.save(statistics.to_dict(), stream)


def draw(statistics: CalibrationStatistics, prefix: str) -> None:
    """Pass a reliability diagram to the run's Visualizer, if there is one."""
    # Slow to import and only needed here.
    from mmengine.visualization import Visualizer

    from cals_mm.visualization import reliability_diagram

    if not Visualizer._instance_dict:
        return
    stage, step = _stage_and_step()
    # A name with a slash would name a folder that does not exist.
    name = f"{prefix}_{stage}".replace("/", "_")
    with never_fatal("drawing the reliability diagram"):
        picture = reliability_diagram(statistics, f"{stage}, iteration {step}")
        Visualizer.get_current_instance().add_image(name, picture, step=step)


def _stage_and_step() -> tuple[str, int]:
    if not MessageHub._instance_dict:
        return "val", 0
    info = MessageHub.get_current_instance().runtime_info
    stage = info.get("loop_stage")
    return ("test" if stage == "test" else "val"), int(info.get("iter", 0))


def log_classes(statistics: CalibrationStatistics, names: Sequence[str] | None) -> None:
    """Write the class table to the log."""
    table = class_table(statistics, names)
    print_log(f"calibration per class (percent):\n{table}", logger="current")


def key_of(sample: Any) -> str:
    """What tells a data sample from others; the same for all that hold no such thing."""
    known = sample if isinstance(sample, Mapping) else sample.to_dict()
    return f"{known.get('img_path')}, {known.get('sample_idx')}"


def name_of(samples: Sequence[Any]) -> str:
    """Name of one or several data samples in a warning."""
    first = samples[0] if isinstance(samples[0], Mapping) else samples[0].to_dict()
    name = str(first.get("img_path") or first.get("sample_idx") or "a sample without a name")
    return name if len(samples) == 1 else f"the {len(samples)} samples from {name}"
