"""Calibration of classes against their frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cals_mm.functional import CalibrationStatistics, class_calibration

from .canvas import BLUE, ORANGE, new_figure, render, tidy
from .names import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration_by_frequency"]

_NAMED = 30
"""Classes are named if there are at most this many."""


def calibration_by_frequency(
    statistics: CalibrationStatistics,
    frequency: ArrayLike,
    names: Sequence[str] | None = None,
    unit: str = "share of the labels (%)",
) -> np.ndarray:
    """Draw accuracy and signed gap of each class over its frequency, on a logarithmic axis.

    Args:
        statistics: Sums of :func:`cals_mm.functional.calibration_statistics`.
        frequency: Frequency of each class in any unit, (K,); classes of frequency 0 are left out.
        names: Names of the K classes; None numbers them.
        unit: Meaning of the frequency, for the axis.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If the numbers of frequencies, names and classes differ, or all frequencies are
            0.
    """
    frequency = np.asarray(frequency, float)
    num_classes = statistics.num_classes
    names = [str(k) for k in range(num_classes)] if names is None else names
    if frequency.shape != (num_classes,) or len(names) != num_classes:
        raise ValueError(
            f"{frequency.shape} frequencies and {len(names)} names do not fit {num_classes} classes"
        )
    if not (frequency > 0).any():
        raise ValueError("every class has frequency 0, so there is nothing to draw")
    classes = class_calibration(statistics)
    figure = new_figure(8.2, 6.4)
    panels = figure.subplots(2, 1, sharex=True)
    points, labels = [], short_names(names, 16)
    for axes, measured, label in (
        (panels[0], classes.accuracy, "accuracy (%)"),
        (panels[1], classes.gap, "gap where the class is sure (%)"),
    ):
        values = 100 * measured.cpu().numpy()
        drawn = np.flatnonzero((frequency > 0) & np.isfinite(values))
        over = values[drawn] > 0 if axes is panels[1] else np.zeros(len(drawn), bool)
        colours = np.where(over, ORANGE, BLUE)
        axes.scatter(frequency[drawn], values[drawn], c=colours, s=26, linewidth=0, zorder=3)
        points.append([(labels[k], frequency[k], values[k]) for k in drawn.tolist()])
        axes.set_ylabel(label)
        axes.margins(x=0.1, y=0.15)
        tidy(axes)
    panels[0].set_xscale("log")
    panels[0].set_ylim(-6, 106)
    panels[1].axhline(0, color="black", linestyle="--", linewidth=1)
    panels[1].set_xlabel(unit)
    panels[0].set_title("classes by frequency; orange: over-confident", fontsize=10.5)
    if num_classes <= _NAMED:
        figure.draw_without_rendering()  # fixes the positions of the points
        for axes, labelled in zip(panels, points, strict=True):
            _write_names(axes, labelled)
    return render(figure)


def _write_names(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write each name beside its point, inside the axes, where it covers least."""
    from matplotlib.patheffects import withStroke

    if not points:
        return
    pixels = axes.transData.transform([(x, y) for _, x, y in points])
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in pixels]
    for (name, *point), (x, y) in zip(points, pixels, strict=True):
        width, height = 7.5 * len(name) + 4, 15
        places = [
            (left, bottom, left + width, bottom + height)
            for bottom in (y + 4, y - 19, y - 7, y + 20, y - 35)
            for left in (x + 7, x - 7 - width)
        ]
        inside = axes.bbox
        clashes = [
            sum(_overlap(place, other) for other in taken)
            + len(taken) * (place[0] < inside.x0 or place[2] > inside.x1)
            for place in places
        ]
        box = places[int(np.argmin(clashes))]
        taken.append(box)
        text = axes.annotate(
            name, (point[0], point[1]), xytext=box[:2], textcoords="figure pixels", fontsize=8
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _overlap(first: Sequence[float], second: Sequence[float]) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )
