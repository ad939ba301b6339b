"""Calibration error of each class, for several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cals_mm.functional import CalibrationStatistics, class_calibration

from .canvas import PALETTE, name_legend, new_figure, render, tidy
from .names import short_names

__all__ = ["class_error_bars"]

_MOST = 40
"""Most classes to draw; of more, those with the largest error are shown."""
_HATCHES = ("", "////", "....", "xxxx")


def class_error_bars(
    statistics: Mapping[str, CalibrationStatistics], names: Sequence[str] | None = None
) -> np.ndarray:
    """Draw the classwise calibration error as a group of bars for each class.

    Args:
        statistics: Sums of :func:`cals_mm.functional.calibration_statistics`, by the title of the
            model.
        names: Names of the K classes; None numbers them.

    Returns:
        Image (H, W, 3), uint8 RGB. With more than 40 classes, it shows those with the largest error
        of the first model.

    Raises:
        ValueError: If there is nothing to draw, or the numbers of classes differ.
    """
    if not statistics:
        raise ValueError("no statistics to draw; pass at least one title and its statistics")
    errors = {
        title: 100 * class_calibration(sums).error.cpu().numpy()
        for title, sums in statistics.items()
    }
    sizes = {len(error) for error in errors.values()} | ({len(names)} if names else set())
    if len(sizes) > 1:
        raise ValueError(f"the models and names are of {sorted(sizes)} classes; give the same")
    num_classes = sizes.pop()
    names = [str(k) for k in range(num_classes)] if names is None else names
    shown = np.arange(num_classes)
    if num_classes > _MOST:
        shown = np.argsort(-next(iter(errors.values())), kind="stable")[:_MOST]
    figure = new_figure(max(5.5, 0.28 * len(shown) * (1 + len(errors)) ** 0.5 + 2), 4.2)
    axes = figure.subplots()
    width = 0.82 / len(errors)
    for position, error in enumerate(errors.values()):
        axes.bar(
            np.arange(len(shown)) - 0.41 + width * (position + 0.5),
            error[shown],
            width,
            label=str(position),
            color=PALETTE[position % len(PALETTE)],
            hatch=_HATCHES[position % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.6,
        )
    every = short_names(names)
    labels = [every[k] for k in shown.tolist()]
    tilt = 45 if max(map(len, labels)) > 3 else 0
    axes.set_xticks(np.arange(len(shown)), labels, rotation=tilt, ha="right" if tilt else "center")
    axes.set_ylabel("classwise calibration error (%)")
    tidy(axes)
    axes.grid(visible=False, axis="x")
    legend = figure.legend(loc="outside upper left", ncols=4, fontsize=9, frameon=False)
    name_legend(legend, list(errors))
    return render(figure)
