"""Differences to a reference with intervals, for several metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .canvas import BLUE, GREY, ORANGE, new_figure, render, tidy

__all__ = ["Difference", "difference_intervals"]


class Difference(NamedTuple):
    """One row of a panel; without ends, only the point is drawn."""

    value: float
    low: float | None
    high: float | None


def difference_intervals(
    panels: Mapping[str, Mapping[str, Difference]],
    reference: str,
    higher_is_better: Sequence[str] = (),
) -> np.ndarray:
    """Draw a panel for each metric, with a row for each method and a line at zero.

    Intervals entirely on the better side are blue, on the worse side orange, others grey.

    Args:
        panels: Heading -> method -> difference to the reference; all with the same methods.
        reference: Name of the reference, for the line's label.
        higher_is_better: Headings of the metrics for which higher is better.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not panels or not all(panels.values()):
        raise ValueError("no differences to draw; pass a panel with at least one method")
    methods = list(next(iter(panels.values())))
    figure = new_figure(1.6 + 2.7 * len(panels), 1.3 + 0.34 * len(methods))
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (heading, rows) in zip(grid, panels.items(), strict=True):
        sign = 1 if heading in higher_is_better else -1
        axes.axvline(0, color="black", linewidth=1, linestyle="--")
        for height, method in enumerate(methods):
            row = rows.get(method)
            if row is None:
                continue
            colour = GREY
            if row.low is not None and row.high is not None:
                if row.low * row.high > 0:
                    colour = BLUE if sign * row.value > 0 else ORANGE
                axes.plot([row.low, row.high], [height, height], color=colour, linewidth=2.2)
            axes.plot(row.value, height, "o", color=colour, markersize=5.5)
        axes.set_title(heading, fontsize=10)
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=4)
        tidy(axes)
        axes.grid(visible=False, axis="y")
    grid[0].set_yticks(np.arange(len(methods)), methods)
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.supxlabel(f"difference to {reference}", fontsize=9.5)
    return render(figure)
