"""A small reliability diagram of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cals_mm.functional import CalibrationStatistics, class_calibration

from .canvas import BLUE, GREY, new_figure, render, tidy
from .names import short_names

__all__ = ["class_reliability"]

_MOST = 24
"""Most classes to draw; of more, those with the largest error are shown."""
_COLUMNS = 6
_FEW = 10
"""Bins with fewer samples than this are left out, as their frequency is noise."""
_AREA = 70.0
"""Marker area of the fullest bin, in square points; the others are in proportion."""


def class_reliability(
    statistics: CalibrationStatistics, names: Sequence[str] | None = None
) -> np.ndarray:
    """Draw the frequency of each class against the probability that it is given.

    Each class is compared with all others: every sample is in the bin of the probability that it
    gives to the class. The area of a point grows with the square root of the share of samples in
    its bin; the first bin, which holds nearly all samples of other classes, does not affect the
    scale. Points below the diagonal are over-confident.

    Args:
        statistics: Sums of :func:`cals_mm.functional.calibration_statistics`.
        names: Names of the K classes; None numbers them.

    Returns:
        Image (H, W, 3), uint8 RGB. With more than 24 classes, it shows those with the largest
        classwise calibration error.

    Raises:
        ValueError: If the numbers of names and classes differ.
    """
    num_classes = statistics.num_classes
    names = [str(k) for k in range(num_classes)] if names is None else names
    if len(names) != num_classes:
        raise ValueError(f"{len(names)} names do not fit {num_classes} classes")
    classes = class_calibration(statistics)
    error = 100 * np.nan_to_num(classes.error.cpu().numpy())
    shown = np.arange(num_classes)
    if num_classes > _MOST:
        shown = np.argsort(-error, kind="stable")[:_MOST]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(1.75 * columns + 0.5, 1.95 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).reshape(-1)
    count = statistics.class_count.cpu().numpy()
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    titles = short_names(names, 18)
    for axes, k in zip(grid, shown.tolist(), strict=False):
        full = count[k] >= _FEW
        bins = count[k][full]
        given = 100 * statistics.class_probability[k].cpu().numpy()[full] / bins
        found = 100 * statistics.class_positive[k].cpu().numpy()[full] / bins
        axes.plot([0, 100], [0, 100], "--", color=GREY, linewidth=0.9)
        axes.plot(given, found, color=BLUE, linewidth=1)
        if len(bins):
            area = np.sqrt(bins / max(count[k][1:].max(), 1)).clip(0.1, 1)
            axes.scatter(given, found, s=_AREA * area, color=BLUE, alpha=0.75, linewidth=0)
        axes.set(xlim=(-4, 104), ylim=(-4, 104), xticks=[0, 50, 100], yticks=[0, 50, 100])
        axes.set_title(f"{titles[k]}\ncwECE {error[k]:.2f} %", fontsize=9)
        tidy(axes)
    figure.supxlabel("probability given to the class (%)", fontsize=9.5)
    figure.supylabel("frequency of the class (%)", fontsize=9.5)
    return render(figure)
