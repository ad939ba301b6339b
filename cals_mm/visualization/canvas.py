"""Matplotlib figures without display or pyplot, and the common colours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .names import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "PALETTE",
    "name_legend",
    "new_figure",
    "png",
    "render",
    "save_image",
    "tidy",
]

# From the palette of Okabe and Ito, which is safe for colour-blind readers.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7F7F7F"
PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#B8A800")


def new_figure(width: float, height: float) -> Figure:
    """Create a white figure with an off-screen canvas; sizes in inches, at 120 dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def render(figure: Figure) -> np.ndarray:
    """Render a figure as (H, W, 3) uint8 RGB, with all text drawn literally.

    Titles and class names come from users, so a dollar sign in them does not start a formula.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    powers = _powers_of_ten(figure)
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
        text.set_usetex(False)
        text.set_parse_math(text in powers)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _powers_of_ten(figure: Figure) -> set[Text]:
    """Tick labels of logarithmic axes, which matplotlib writes as formulas."""
    from matplotlib.ticker import LogFormatter

    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)]
    return {
        text
        for axis in axes
        if isinstance(axis.get_major_formatter(), LogFormatter)
        for text in axis.get_ticklabels(which="both")
    }


def png(image: np.ndarray) -> bytes:
    """Encode an image (H, W, 3), uint8 RGB, as a PNG file with at most 256 colours.

    Diagrams have few colours, and this saves a third of the size.
    """
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).quantize(256, dither=Image.Dither.NONE).save(
        stream, "png", optimize=True
    )
    return stream.getvalue()


def save_image(image: np.ndarray, path: str | Path) -> None:
    """Write an image (H, W, 3), uint8 RGB; the suffix, e.g. .png, selects the format."""
    from matplotlib.image import imsave

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    imsave(path, image)


def name_legend(legend: Legend, names: Sequence[str]) -> None:
    """Set the texts of a legend, including those that start with an underscore.

    matplotlib leaves out artists whose label starts with one.
    """
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)


def tidy(axes: Axes) -> None:
    """Draw a light grid behind the data, and no box."""
    axes.grid(color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=9)
