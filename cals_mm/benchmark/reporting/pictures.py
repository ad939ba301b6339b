"""The figures of a report, drawn from the files of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from cals_mm.benchmark.execution import Campaign, Run
from cals_mm.functional import CalibrationStatistics, expected_calibration_error
from cals_mm.methods import REFERENCE
from cals_mm.visualization import (
    Difference,
    class_error_bars,
    difference_intervals,
    png,
    reliability_diagram,
    risk_coverage,
)

from .results import Results

__all__ = [
    "Picture",
    "class_pictures",
    "curve_pictures",
    "interval_picture",
    "pooled",
    "reliability_pictures",
    "risk_pictures",
]

_MOST_BARS = 4


class Picture(NamedTuple):
    """The bytes of a PNG file, and a caption."""

    data: bytes
    text: str


def pooled(campaign: Campaign) -> dict[str, CalibrationStatistics]:
    """Sums over the test samples of all seeds, for each method."""
    result = {}
    for method in campaign.tested:
        parts = []
        for seed in campaign.tested[method]:
            run = campaign.a_run(method, campaign.choices[method].setting, seed)
            file = campaign.test_of(run).folder / "calibration.pt"
            if file.is_file():
                parts.append(CalibrationStatistics.from_dict(torch.load(file)))
        if parts:
            result[method] = sum(parts[1:], start=parts[0])
    return result


def reliability_pictures(statistics: Mapping[str, CalibrationStatistics]) -> list[Picture]:
    """A reliability diagram of each method."""
    return [
        Picture(png(reliability_diagram(sums, method)), f"Reliability diagram of {method}")
        for method, sums in statistics.items()
    ]


def risk_pictures(statistics: Mapping[str, CalibrationStatistics]) -> list[Picture]:
    """Risk-coverage curves of all methods."""
    known = {method: sums for method, sums in statistics.items() if sums.count}
    if not known:
        return []
    return [Picture(png(risk_coverage(known)), f"Risk and coverage: {', '.join(known)}")]


def class_pictures(
    campaign: Campaign, statistics: Mapping[str, CalibrationStatistics]
) -> list[Picture]:
    """Errors of each class, for the reference, CALS and the methods with the lowest ECE."""
    if not statistics:
        return []
    ranked = sorted(
        statistics, key=lambda name: float(expected_calibration_error(statistics[name]))
    )
    first = [name for name in (REFERENCE, "cals") if name in statistics]
    chosen = [*first, *(name for name in ranked if name not in first)][:_MOST_BARS]
    shown = {name: statistics[name] for name in chosen}
    picture = class_error_bars(shown, _class_names(campaign, chosen[0], statistics[chosen[0]]))
    return [Picture(png(picture), f"Calibration error of each class: {', '.join(chosen)}")]


def interval_picture(results: Results) -> list[Picture]:
    """Differences to the reference in the task's main figure, ECE and NLL."""
    keys = (results.task.main.key, "calibration/ECE", "calibration/NLL")
    columns = [column for column in results.columns if column.key in keys]
    panels: dict[str, dict[str, Difference]] = {}
    for column in columns:
        for row in results.rows:
            if found := row.differences.get(column.key):
                difference = Difference(found.difference, found.low, found.high)
                panels.setdefault(column.heading, {})[row.method] = difference
    if not panels:
        return []
    higher = [column.heading for column in columns if column.better == "higher"]
    picture = difference_intervals(panels, REFERENCE, higher)
    return [Picture(png(picture), f"Differences to {REFERENCE} with 95 % intervals")]


def curve_pictures(campaign: Campaign) -> list[Picture]:
    """Curves drawn by losses with state at the end of the training with the first seed."""
    result = []
    for method, figures in campaign.tested.items():
        run = campaign.a_run(method, campaign.choices[method].setting, min(figures))
        if file := _last_curves(run):
            text = f"{method}, seed {run.seed}: state of the loss after each validation"
            result.append(Picture(file.read_bytes(), text))
    return result


def _last_curves(run: Run) -> Path | None:
    drawn = [
        file
        for file in run.folder.glob("*/vis_data/vis_image/*.png")
        if not file.name.startswith("calibration_")
    ]
    return max(drawn, key=lambda file: file.stat().st_mtime_ns, default=None)


def _class_names(
    campaign: Campaign, method: str, statistics: CalibrationStatistics
) -> list[str] | None:
    """Class names, which MMEngine writes into checkpoints; None without one, or if they differ."""
    seed = min(campaign.tested[method])
    run = campaign.a_run(method, campaign.choices[method].setting, seed)
    _, file = run.checkpoint(campaign.checkpoint)
    if not file.is_file():
        return None
    # A checkpoint of our own; it contains MMEngine's message hub besides tensors.
    meta = torch.load(file, map_location="cpu", weights_only=False).get("meta", {})
    names = [str(name) for name in (meta.get("dataset_meta") or {}).get("classes", ())]
    return names if len(names) == statistics.num_classes else None
