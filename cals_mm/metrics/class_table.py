"""The calibration of each class as text."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cals_mm.functional import CalibrationStatistics, class_calibration

__all__ = ["class_table"]

_MAX_ROWS = 40


def class_table(statistics: CalibrationStatistics, names: Sequence[str] | None) -> str:
    """Format the calibration of each class, or of the classes with the largest error."""
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
