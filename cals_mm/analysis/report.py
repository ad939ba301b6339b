"""Draw the figures of a run, and write the page that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cals_mm import files
from cals_mm.functional import CALIBRATION_VALUES, CalibrationStatistics
from cals_mm.hooks.multiplier_history import STORED_AS
from cals_mm.metrics import class_table
from cals_mm.visualization import (
    calibration_by_frequency,
    class_error_bars,
    class_reliability,
    compare_reliability,
    confidence_maps,
    png,
    reliability_diagram,
    state_curves,
)

from .split_pass import SplitStatistics

__all__ = ["write_report"]


def write_report(
    folder: str | Path,
    split: SplitStatistics,
    *,
    title: str,
    names: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
    frequency: np.ndarray | None = None,
    history: Mapping[str, Any] | None = None,
    ignore_index: int | None = None,
) -> Path:
    """Write the figures and ``README.md`` into a folder, atomically.

    Args:
        folder: The folder, created if necessary.
        split: Result of :func:`~cals_mm.analysis.run_split`.
        title: Heading of the page.
        names: Names of the classes.
        palette: Colours of the classes for the maps, (K, 3) in 0..255.
        frequency: Training samples of each class, (K,). None uses the labels of the split.
        history: ``cals_history`` of a checkpoint.
        ignore_index: Label of void pixels.

    Returns:
        The page.
    """
    folder = Path(folder)
    sums = split.overall
    names = [str(k) for k in range(sums.num_classes)] if names is None else list(names)
    page = [f"# {title}\n", _figures(split)]

    def show(file: str, heading: str, text: str, picture: np.ndarray) -> None:
        files.write_bytes(folder / f"{file}.png", png(picture))
        page.append(f"## {heading}\n\n{text}\n\n![{heading}]({file}.png)\n")

    show(
        "reliability",
        "Reliability",
        "Bars that end below the diagonal: the model is surer than it is right.",
        reliability_diagram(sums, "test split"),
    )
    if split.boundary is not None and split.interior is not None:
        regions = {
            f"boundary, {_share(split.boundary, sums)}": split.boundary,
            f"interior, {_share(split.interior, sums)}": split.interior,
        }
        show(
            "regions",
            "Boundary and interior",
            "A pixel is on a boundary where its 3 x 3 neighbourhood holds another label.",
            compare_reliability(regions),
        )
    show(
        "class_errors",
        "Calibration error of each class",
        "One class against the rest, over all samples.",
        class_error_bars({"test split": sums}, names),
    )
    show(
        "class_reliability",
        "Reliability of each class",
        "Points below the diagonal: the class is given more probability than it deserves.",
        class_reliability(sums, names),
    )
    counts = sums.class_positive.sum(1).cpu().numpy() if frequency is None else frequency
    unit = "labels of the test split" if frequency is None else "training samples"
    show(
        "frequency",
        "By class frequency",
        "Gap: mean probability of a class minus its frequency, where it gets more than 1/2.",
        calibration_by_frequency(sums, counts, names, unit),
    )
    page.append(f"```\n{class_table(sums, names)}\n```\n")
    if history:
        show(
            "multipliers",
            "What the loss has learned",
            "State of each class after every validation of the training.",
            _curves(history, names),
        )
    for number, maps in enumerate(split.maps):
        colours = _colours(sums.num_classes) if palette is None else palette
        picture = confidence_maps(
            maps.image,
            maps.label,
            maps.prediction,
            maps.confidence,
            colours,
            ignore_index,
            maps.name,
        )
        text = "White: right. Grey: without a label."
        show(f"maps_{number}", f"Maps of {maps.name}", text, picture)
    file = folder / "README.md"
    files.write_text(file, "\n".join(page))
    return file


def _figures(split: SplitStatistics) -> str:
    """Table of all metrics, a row for each region."""
    rows = {"all": split.overall, "boundary": split.boundary, "interior": split.interior}
    values = CALIBRATION_VALUES.values()
    heads = ["samples", *(value.heading for value in values)]
    lines = ["| | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
    for name, sums in rows.items():
        if sums is not None:
            cells = [f"{float(value(sums)):.{value.digits}f}" for value in values]
            lines.append(f"| {name} | " + " | ".join([str(sums.count), *cells]) + " |")
    return "\n".join(lines) + "\n"


def _share(part: CalibrationStatistics, whole: CalibrationStatistics) -> str:
    return f"{100 * part.count / max(whole.count, 1):.1f} % of pixels"


def _curves(history: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    shown = {stored: name for name, stored in STORED_AS.items()}
    curves = {
        shown.get(key, key): torch.as_tensor(value).cpu().numpy()
        for key, value in history.items()
        if key != "steps"
    }
    steps = torch.as_tensor(history["steps"]).tolist()
    first = next((curve for curve in curves.values() if curve.ndim == 2), None)
    per_class = first is not None and first.shape[1] == len(names)
    return state_curves(
        steps,
        curves,
        names if per_class else None,
        "learned on validation",
        "classes" if per_class else "entries",
    )


def _colours(count: int) -> list[list[int]]:
    from matplotlib import colormaps

    colours = colormaps["tab20"](np.arange(count) % 20)[:, :3]
    rgb: list[list[int]] = (255 * colours).astype(int).tolist()
    return rgb
