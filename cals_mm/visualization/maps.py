"""Maps of confidence and errors of a segmentation model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .canvas import BLUE, ORANGE, new_figure, render, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confidence_maps"]

_VOID = (0.72, 0.72, 0.72)


def confidence_maps(
    image: np.ndarray,
    label: np.ndarray,
    prediction: np.ndarray,
    confidence: np.ndarray,
    palette: Sequence[Sequence[int]],
    ignore_index: int | None = 255,
    title: str = "",
) -> np.ndarray:
    """Draw image, labels, prediction, confidence, and the confidence of wrong pixels only.

    Args:
        image: (H', W', 3) uint8 RGB, of any size.
        label: (H, W) integers.
        prediction: (H, W) integers.
        confidence: (H, W), fractions in [0, 1].
        palette: Colour of each class, (K, 3) in 0..255.
        ignore_index: Label of void pixels, drawn in grey, or None.
        title: Name of the image.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If labels, predictions and confidences differ in shape.
    """
    if not label.shape == prediction.shape == confidence.shape or label.ndim != 2:
        raise ValueError(
            f"labels {label.shape}, predictions {prediction.shape} and confidences "
            f"{confidence.shape} must be maps of one shape"
        )
    void = np.zeros(label.shape, bool) if ignore_index is None else label == ignore_index
    wrong = (prediction != label) & ~void
    colours = np.asarray(palette, float) / 255
    height, width = label.shape
    side = 3.6
    figure = new_figure(3 * side + 0.9, 2 * side * height / width + 1.0)
    grid = figure.subplots(2, 3)
    extent = (0, width, height, 0)
    share = 100 * wrong.sum() / max((~void).sum(), 1)
    pictures = [
        (grid[0, 0], image, title or "image"),
        (grid[0, 1], _coloured(label, colours, void), "labels"),
        (grid[0, 2], _coloured(prediction, colours, np.zeros_like(void)), "prediction"),
    ]
    for axes, picture, heading in pictures:
        axes.imshow(picture, extent=extent, interpolation="nearest")
        axes.set_title(heading, fontsize=10)
    maps = [
        (grid[1, 0], confidence, ~void, "confidence"),
        (grid[1, 1], confidence, wrong, f"confidence where wrong ({share:.1f} %)"),
    ]
    for axes, values, where, heading in maps:
        axes.imshow(_background(void), extent=extent)
        drawn = axes.imshow(
            np.ma.masked_where(~where, 100 * values),
            cmap="viridis",
            vmin=0,
            vmax=100,
            extent=extent,
            interpolation="nearest",
        )
        axes.set_title(heading, fontsize=10)
    bar = figure.colorbar(
        drawn, ax=list(grid[1, :2]), location="bottom", shrink=0.6, aspect=40, pad=0.03
    )
    bar.set_label("confidence (%)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    for axes in grid.reshape(-1):
        axes.set_axis_off()
    _draw_shares(grid[1, 2], confidence, wrong, void)
    return render(figure)


def _coloured(classes: np.ndarray, colours: np.ndarray, void: np.ndarray) -> np.ndarray:
    picture: np.ndarray = colours[np.where(void, 0, classes).clip(0, len(colours) - 1)]
    picture[void] = _VOID
    return picture


def _background(void: np.ndarray) -> np.ndarray:
    return np.where(void[..., None], np.array(_VOID), np.ones(3))


def _draw_shares(axes: Axes, confidence: np.ndarray, wrong: np.ndarray, void: np.ndarray) -> None:
    """Draw the distribution of confidences of correct and wrong pixels."""
    axes.set_axis_on()
    edges = np.linspace(0, 100, 16)
    for where, colour, name in ((~wrong & ~void, BLUE, "right"), (wrong, ORANGE, "wrong")):
        if where.any():
            share, _ = np.histogram(100 * confidence[where], edges)
            style = "-" if name == "right" else "--"
            axes.stairs(
                100 * share / where.sum(),
                edges,
                color=colour,
                label=name,
                linestyle=style,
                linewidth=1.8,
            )
    axes.set(xlim=(0, 100), ylim=(0, None))
    axes.set_xlabel("confidence (%)", fontsize=9)
    axes.set_title("share of right and of wrong pixels (%)", fontsize=10)
    axes.legend(fontsize=8.5, frameon=False, loc="upper left")
    tidy(axes)
