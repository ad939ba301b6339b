"""A photo with its predicted classes, on which unsure regions stand out, and the key to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .canvas import name_legend, new_figure, render
from .names import short_names

__all__ = ["class_key", "overlay"]

_SURE, _UNSURE = 0.9, 0.4
"""Confidences from which nothing, and up to which everything, is whitened."""


def overlay(
    image: np.ndarray,
    prediction: np.ndarray,
    confidence: np.ndarray,
    palette: Sequence[Sequence[int]],
    accepted: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the predicted classes over a photo, and whiten where the model is unsure.

    The photo is grey, so that colours are those of the classes, and the whiter a pixel, the less
    sure its class. Rejected pixels are hatched.

    Args:
        image: (H, W, 3) uint8 RGB.
        prediction: (H, W) integers.
        confidence: (H, W), fractions in [0, 1].
        palette: Colour of each class, (K, 3) in 0..255.
        accepted: (H, W) bool, or None for all.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colours = np.asarray(palette, np.uint8)
    grey = (image.astype(np.float32) @ np.full(3, 1 / 3, np.float32))[..., None]
    drawn = 0.45 * grey + 0.55 * colours[prediction].astype(np.float32)
    doubt = np.clip((_SURE - confidence) / (_SURE - _UNSURE), 0, 1)[..., None]
    drawn += 0.75 * doubt * (255 - drawn)
    if accepted is not None:
        rows, columns = np.indices(prediction.shape, sparse=True)
        period = max(6, min(prediction.shape) // 40)
        line = (rows + columns) % period < period // 3
        drawn[~accepted & line] = 20
    picture: np.ndarray = drawn.astype(np.uint8)
    return picture


def class_key(names: Sequence[str], palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Draw the colour of each class beside its name.

    Args:
        names: K names.
        palette: Colour of each class, (K, 3) in 0..255.

    Returns:
        Picture (H, W, 3), uint8 RGB.
    """
    from matplotlib.patches import Patch

    columns = -(-len(names) // 25)
    figure = new_figure(2.6 * columns, 0.24 * -(-len(names) // columns) + 0.3)
    patches = [Patch(color=(red / 255, green / 255, blue / 255)) for red, green, blue in palette]
    legend = figure.legend(
        patches, ["-"] * len(names), loc="center", ncols=columns, frameon=False, fontsize=10
    )
    name_legend(legend, short_names(names))
    return render(figure)
