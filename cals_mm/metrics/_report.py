"""What a calibration metric returns and writes to the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub, MMLogger, print_log
from torch import Tensor

from cals_mm import files
from cals_mm.functional import (
    CalibrationStatistics,
    accuracy,
    adaptive_calibration_error,
    brier_score,
    calibration_gap,
    class_calibration,
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    mean_confidence,
    negative_log_likelihood,
)

__all__ = ["VALUES", "class_table", "draw", "sample_name", "save", "values", "warn"]


def _adaptive(statistics: CalibrationStatistics) -> Tensor:
    return torch.as_tensor(adaptive_calibration_error(statistics))


# No key of an error may contain 'acc', 'top' or another word by which MMEngine's CheckpointHook
# would take it for one where more is better.
_PERCENT: dict[str, Callable[[CalibrationStatistics], Tensor]] = {
    "ECE": expected_calibration_error,
    "aECE": _adaptive,
    "cwECE": classwise_calibration_error,
    "MCE": maximum_calibration_error,
    "gap": calibration_gap,
    "accuracy": accuracy,
    "confidence": mean_confidence,
}
_RAW = {"NLL": negative_log_likelihood, "Brier": brier_score}
VALUES = (*_PERCENT, *_RAW)
"""Names of the values that :func:`values` returns."""

_MAX_ROWS = 40


def values(statistics: CalibrationStatistics) -> Tensor:
    """The metrics named :data:`VALUES`, float64: percent, but NLL in nats and Brier raw."""
    percent = [100 * metric(statistics) for metric in _PERCENT.values()]
    return torch.stack([*percent, *(metric(statistics) for metric in _RAW.values())])


def class_table(statistics: CalibrationStatistics, names: Sequence[str] | None) -> str:
    """Calibration of each class as text; of many classes, those with the largest error."""
    classes = class_calibration(statistics)
    num_classes = statistics.num_classes
    if names is None:
        names = [str(k) for k in range(num_classes)]
    share = 100 * classes.samples.double() / max(statistics.count, 1)
    rows = list(range(num_classes))
    note = ""
    if num_classes > _MAX_ROWS:
        rows = classes.error.argsort(descending=True)[:_MAX_ROWS].tolist()
        note = f"\n({_MAX_ROWS} of {num_classes} classes, those with the largest cwECE)"
    width = max(5, *(len(names[k]) for k in rows))
    lines = [f"{'class':<{width}}  {'share':>7}  {'Acc':>6}  {'gap':>7}  {'cwECE':>7}"]
    lines.append("-" * len(lines[0]))
    for k in rows:
        lines.append(
            f"{names[k]:<{width}}  {share[k]:7.3f}  {_cell(classes.accuracy[k], '6.2f')}  "
            f"{_cell(classes.gap[k], '+7.2f')}  {_cell(classes.error[k], '7.3f')}"
        )
    return "\n".join(lines) + note


def _cell(fraction: Tensor, form: str) -> str:
    width = int(form.lstrip("+").split(".")[0])
    return f"{100 * float(fraction):{form}}" if fraction.isfinite() else "-".rjust(width)


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
