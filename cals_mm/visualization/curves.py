"""How multipliers and rho of each class moved over a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .canvas import GREY, PALETTE, new_figure, render, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["multiplier_curves"]

_NAMED = len(PALETTE)
"""Classes that get a colour and a name; the others are thin grey lines."""


def multiplier_curves(
    steps: Sequence[int],
    multipliers: ArrayLike,
    rho: ArrayLike,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Curves of every class; those with the largest final multipliers are coloured and named.

    Args:
        steps: Training iteration of each update, T values.
        multipliers: Lagrange multipliers after each update, (T, K).
        rho: Penalty coefficients after each update, (T, K).
        class_names: K names; None numbers the classes.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If the shapes do not fit together, or there is no update to draw.
    """
    multipliers, rho = np.asarray(multipliers, float), np.asarray(rho, float)
    if multipliers.ndim != 2 or rho.shape != multipliers.shape or not len(steps):
        raise ValueError(
            "multipliers and rho must be of one shape (updates, classes) with at least one "
            f"update, got {multipliers.shape} and {rho.shape}"
        )
    num_classes = multipliers.shape[1]
    names = [f"class {k}" for k in range(num_classes)] if class_names is None else class_names
    if len(steps) != len(multipliers) or len(names) != num_classes:
        raise ValueError(
            f"{len(steps)} steps and {len(names)} class names do not fit multipliers of shape "
            f"{multipliers.shape}"
        )
    order = np.argsort(-multipliers[-1], kind="stable")
    named, others = order[:_NAMED], order[_NAMED:]
    figure = new_figure(8.6, 5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
    for axes, values in ((upper, multipliers), (lower, rho)):
        _draw(axes, np.asarray(steps), values, named, others, names)
    upper.set_ylabel("multiplier λ")
    lower.set_ylabel("penalty coefficient ρ")
    lower.set_xlabel("training iteration")
    upper.set_title(f"CALS multipliers, {num_classes} classes", fontsize=10.5)
    handles, labels = (entries[::-1] for entries in upper.get_legend_handles_labels())
    if len(others):
        handles += lower.plot([], [], color=GREY, linewidth=0.7)
        labels.append(f"{len(others)} other classes")
    figure.legend(
        handles,
        labels,
        loc="outside right upper",
        fontsize=8.5,
        frameon=False,
        title="largest final λ" if len(others) else "final λ",
        title_fontsize=9,
    )
    return render(figure)


def _draw(
    axes: Axes,
    steps: np.ndarray,
    values: np.ndarray,
    named: np.ndarray,
    others: np.ndarray,
    names: Sequence[str],
) -> None:
    # One point makes no line.
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
            label=f"{_short(names[k])}  {values[-1, k]:.3g}",
        )
    axes.set_ylim(bottom=0)
    tidy(axes)


def _short(name: str, length: int = 22) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
