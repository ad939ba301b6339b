"""Curves of multipliers, rho and other state of a loss over a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .canvas import GREY, PALETTE, name_legend, new_figure, render, tidy
from .names import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["state_curves"]

_LABELS = {"lambda": "multiplier λ", "rho": "penalty coefficient ρ", "margin": "margin m"}

_NAMED = len(PALETTE)
"""Number of classes with a colour and a name; the others are thin grey lines."""


def state_curves(
    steps: Sequence[int],
    curves: Mapping[str, ArrayLike],
    names: Sequence[str] | None = None,
    title: str = "",
    entries: str = "classes",
) -> np.ndarray:
    """Draw a panel for each quantity; entries with the largest final values in the first are named.

    Args:
        steps: Training iteration of each update, T values.
        curves: Name -> values after each update, (T, K), or (T,) for a single number. NaN
            interrupts the line.
        names: Names of the K entries of the first (T, K). None numbers them as classes.
        title: Title of the figure.
        entries: Word for the K entries.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If the shapes do not fit together, or there is no update to draw.
    """
    values = {name: np.asarray(curve, float) for name, curve in curves.items()}
    shapes = [value.shape for value in values.values()]
    if not len(steps) or any(
        len(shape) not in (1, 2) or shape[0] != len(steps) for shape in shapes
    ):
        raise ValueError(
            f"curves of shapes {shapes} do not fit {len(steps)} steps: they must be "
            "(updates, entries) or (updates,) with at least one update"
        )
    leader, leading = next(
        ((name, value) for name, value in values.items() if value.ndim == 2),
        ("", np.empty((len(steps), 0))),
    )
    count = leading.shape[1]
    names = [f"class {k}" for k in range(count)] if names is None else names
    if len(names) != count:
        raise ValueError(f"{len(names)} names do not fit curves of {count} {entries}")
    figure = new_figure(8.6, 3.4 + 1.1 * len(values))
    ratios = [1.6] + [1.0] * (len(values) - 1)
    panels = figure.subplots(len(values), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    for axes, (name, value) in zip(panels, values.items(), strict=True):
        columns = value.reshape(len(steps), -1)
        alike = value.shape == leading.shape
        order = _by_size(leading if alike else columns)
        _draw(axes, np.asarray(steps), columns, order[:_NAMED], order[_NAMED:])
        axes.set_ylabel(_LABELS.get(name, name))
    panels[-1].set_xlabel("training iteration")
    panels[0].set_title(f"{title}, {count} {entries}" if count else title, fontsize=10.5)
    if count:
        axes = panels[list(values).index(leader)]
        # Drawn in reverse order, so that the largest is on top.
        handles = axes.get_lines()[-min(count, _NAMED) :][::-1]
        every = short_names(names)
        labels = [f"{every[k]}  {leading[-1, k]:.3g}" for k in _by_size(leading)[:_NAMED]]
        if count > _NAMED:
            handles += axes.plot([], [], color=GREY, linewidth=0.7)
            labels.append(f"{count - _NAMED} other {entries}")
        symbol = _LABELS.get(leader, leader).split()[-1]
        legend = figure.legend(
            handles,
            [str(k) for k in range(len(labels))],
            loc="outside right upper",
            fontsize=8.5,
            frameon=False,
            title=f"largest final {symbol}" if count > _NAMED else f"final {symbol}",
            title_fontsize=9,
        )
        name_legend(legend, labels)
    return render(figure)


def _by_size(values: np.ndarray) -> np.ndarray:
    """Entries in descending order of their last value."""
    return np.argsort(-np.nan_to_num(values[-1]), kind="stable")


def _draw(
    axes: Axes,
    steps: np.ndarray,
    values: np.ndarray,
    named: np.ndarray,
    others: np.ndarray,
) -> None:
    # A single point would make no line.
    marker = "o" if len(steps) == 1 else ""
    if len(others):
        thin = max(0.08, min(0.6, 20 / len(others)))
        axes.plot(steps, values[:, others], color=GREY, linewidth=0.7, alpha=thin, marker=marker)
    for position, k in reversed(list(enumerate(named))):  # the largest on top
        axes.plot(
            steps,
            values[:, k],
            color=PALETTE[position],
            linestyle="-" if position < _NAMED // 2 else "--",
            linewidth=1.6,
            marker=marker,
            markersize=4,
        )
    axes.set_ylim(bottom=min(0.0, float(np.nanmin(values))))
    tidy(axes)
