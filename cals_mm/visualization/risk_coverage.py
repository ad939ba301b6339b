"""The error of the most confident samples over their share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cals_mm.functional import CalibrationStatistics, area_under_risk_coverage, risk_coverage_curve

from .canvas import PALETTE, new_figure, render, tidy

__all__ = ["risk_coverage"]

_POINTS = 400
"""Points of a curve, at equal steps of coverage."""
_STYLES = ("-", "--", ":", "-.")


def risk_coverage(statistics: Mapping[str, CalibrationStatistics]) -> np.ndarray:
    """Draw risk-coverage curves: error among the accepted samples against their share.

    Args:
        statistics: Sums of :func:`cals_mm.functional.calibration_statistics`, by name.

    Returns:
        Picture (H, W, 3), uint8 RGB.

    Raises:
        ValueError: If there is nothing to draw.
    """
    known = {name: sums for name, sums in statistics.items() if sums.count}
    if not known:
        raise ValueError("no samples to draw; pass at least one name and its statistics")
    figure = new_figure(7.5, 4.6)
    axes = figure.subplots()
    shares = np.linspace(1 / _POINTS, 1, _POINTS)
    for number, (name, sums) in enumerate(known.items()):
        coverage, risk = (part.cpu().numpy() for part in risk_coverage_curve(sums))
        axes.plot(
            100 * shares,
            100 * np.interp(shares, coverage, risk),
            _STYLES[number // len(PALETTE) % len(_STYLES)],
            color=PALETTE[number % len(PALETTE)],
            linewidth=1.6,
            label=f"{name}, AURC {100 * float(area_under_risk_coverage(sums)):.2f} %",
        )
    axes.set(xlim=(0, 100), xlabel="share of the samples accepted, the most confident first (%)")
    axes.set_ylabel("error among them (%)")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside right upper", fontsize=8.5, frameon=False)
    tidy(axes)
    return render(figure)
