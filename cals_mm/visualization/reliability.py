"""Reliability diagrams with the histogram of confidences below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cals_mm.functional import (
    CalibrationStatistics,
    accuracy,
    calibration_gap,
    expected_calibration_error,
    mean_confidence,
    reliability_curve,
)

from .canvas import BLUE, ORANGE, new_figure, render, tidy

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["compare_reliability", "reliability_diagram"]

_FEW = 0.001
"""Bins with less than this share of the samples are drawn pale, as their accuracy is noise."""
_OVER: dict[str, Any] = {"facecolor": "white", "edgecolor": ORANGE, "hatch": "////"}
_UNDER: dict[str, Any] = {"facecolor": "#BFE0F5", "edgecolor": BLUE, "hatch": "...."}


def reliability_diagram(statistics: CalibrationStatistics, title: str = "") -> np.ndarray:
    """Draw accuracy against confidence per bin, and the distribution of confidences.

    Args:
        statistics: Sums of :func:`cals_mm.functional.calibration_statistics`.
        title: First line of the title; the second shows calibration error and signed gap.

    Returns:
        Picture (H, W, 3), uint8 RGB.
    """
    return compare_reliability({title: statistics})


def compare_reliability(statistics: Mapping[str, CalibrationStatistics]) -> np.ndarray:
    """Draw reliability diagrams side by side, on the same axes.

    Args:
        statistics: Sums of :func:`cals_mm.functional.calibration_statistics`, by title.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not statistics:
        raise ValueError("no statistics to draw; pass at least one title and its statistics")
    columns = len(statistics)
    figure = new_figure(4.1 * columns + 0.5, 5.8)
    grid = figure.subplots(
        2, columns, squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1.2)
    )
    for column, (title, sums) in enumerate(statistics.items()):
        _draw_accuracy(grid[0, column], sums, title)
        _draw_histogram(grid[1, column], sums)
    grid[0, 0].set_ylabel("accuracy (%)")
    grid[1, 0].set_ylabel("samples (%)")
    figure.legend(
        handles=_legend(),
        loc="outside lower center",
        ncols=min(2 * columns, 6),
        fontsize=8.5,
        frameon=False,
    )
    return render(figure)


def _draw_accuracy(axes: Axes, statistics: CalibrationStatistics, title: str) -> None:
    curve = reliability_curve(statistics)
    samples = curve.samples.cpu().numpy()
    edges = 100 * curve.edges.cpu().numpy()
    confidence = 100 * curve.confidence.cpu().numpy()
    correct = 100 * curve.accuracy.cpu().numpy()
    for b in np.flatnonzero(samples):
        box: dict[str, Any] = {
            "align": "edge",
            "width": edges[b + 1] - edges[b],
            "linewidth": 0.8,
            "alpha": 1.0 if samples[b] >= _FEW * samples.sum() else 0.35,
        }
        low, high = sorted((confidence[b], correct[b]))
        axes.bar(edges[b], low, color=BLUE, edgecolor="white", **box)
        style = _OVER if confidence[b] > correct[b] else _UNDER
        axes.bar(edges[b], high - low, bottom=low, **style, **box)
    axes.plot([0, 100], [0, 100], "--", color="black", linewidth=1)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.set_title("\n".join(filter(None, [title, _summary(statistics)])), fontsize=10.5)
    tidy(axes)


def _legend() -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=BLUE, label="accuracy"),
        Patch(label="over-confident by", **_OVER),
        Patch(label="under-confident by", **_UNDER),
        Line2D([], [], linestyle="--", color="black", linewidth=1, label="perfect calibration"),
        Line2D([], [], color=BLUE, linewidth=1.8, label="overall accuracy"),
        Line2D([], [], linestyle="--", color=ORANGE, linewidth=1.8, label="mean confidence"),
    ]


def _draw_histogram(axes: Axes, statistics: CalibrationStatistics) -> None:
    total = max(statistics.count, 1)
    share = 100 * statistics.bin_count.cpu().numpy() / total
    edges = 100 * reliability_curve(statistics).edges.cpu().numpy()
    axes.bar(edges[:-1], share, np.diff(edges), align="edge", color="#B5B5B5", edgecolor="white")
    if statistics.count:
        right = 100 * float(accuracy(statistics))
        sure = 100 * float(mean_confidence(statistics))
        axes.axvline(right, color=BLUE, linewidth=1.8)
        axes.axvline(sure, color=ORANGE, linewidth=1.8, linestyle="--")
    axes.set_xlabel("confidence (%)")
    tidy(axes)


def _summary(statistics: CalibrationStatistics) -> str:
    if not statistics.count:
        return "no samples"
    gap = 100 * float(calibration_gap(statistics))
    error = 100 * float(expected_calibration_error(statistics))
    return f"ECE {error:.2f} %, confidence − accuracy {gap:+.2f} %".replace("-", "−")
