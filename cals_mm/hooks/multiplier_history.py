"""Per-class multipliers, rho and other state over a training run: log, checkpoint, picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch import Tensor

from cals_mm.frameworks.reporting import never_fatal, unique_names
from cals_mm.losses import StatefulLoss

__all__ = ["MultiplierHistory"]

KEY = "cals_history"
STORED_AS = {"lambda": "multipliers"}
"""Names in checkpoints, where they differ from those of the curves."""
MAX_CURVES = 200
"""More entries than this are logged as mean and maximum alone; the picture shows them all."""


class MultiplierHistory:
    """Values after every update.

    Args:
        draw: Whether :meth:`draw` draws.
    """

    def __init__(self, draw: bool = True) -> None:
        self._draw = draw
        self._steps: list[int] = []
        self._curves: dict[str, list[Tensor]] = {}

    def append(self, runner: Runner, loss: StatefulLoss) -> None:
        """Note the values after an update, log them as scalars and in one line of text."""
        curves = {name: value.detach().cpu().clone() for name, value in loss.state.curves().items()}
        if any(self._curves.get(name, [v])[-1].shape != v.shape for name, v in curves.items()):
            self._steps, self._curves = [], {}  # of a loss that was exchanged for another kind
        self._steps.append(runner.iter)
        # A run resumed with other options may gain or lose a curve: its gap is NaN.
        for name in self._curves | curves:
            known = self._curves.setdefault(name, [])
            blank = torch.full_like(curves[name] if name in curves else known[-1], torch.nan)
            known += [blank] * (len(self._steps) - 1 - len(known))
            known.append(curves.get(name, blank))
        with never_fatal(f"logging the {loss.state.learned}"):
            remark = loss.state.remark()
            parts = [*_summary(runner, loss, curves), *([remark] if remark else [])]
            runner.logger.info(f"{loss.label} update {len(self._steps)}: " + ", ".join(parts))
            scalars = _scalars(runner, loss, curves)
            runner.visualizer.add_scalars(scalars, step=runner.iter)

    def draw(self, runner: Runner, loss: StatefulLoss) -> None:
        """Draw the curves through the runner's visualizer, on the main process."""
        if self._draw and self._steps and is_main_process():
            with never_fatal(f"drawing the {loss.state.learned}"):
                self._add_picture(runner, loss)

    def _add_picture(self, runner: Runner, loss: StatefulLoss) -> None:
        # matplotlib is slow to import, and only needed here.
        from cals_mm.visualization import state_curves

        curves = {name: torch.stack(values).numpy() for name, values in self._curves.items()}
        leader = next((item for item in self._curves.items() if item[1][0].ndim), None)
        names, entries = None, "classes"
        if leader is not None:
            names = _names(runner, loss, leader[0], leader[1][0])
            entries = "classes" if loss.state.entry_names(leader[0]) is None else "entries"
        image = state_curves(
            self._steps, curves, names, f"{loss.label} {loss.state.learned}", entries=entries
        )
        # A name with a slash would be written nowhere.
        name = f"{loss.label.lower()}_{loss.state.learned}"
        runner.visualizer.add_image(name, image, step=runner.iter)

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Put the values into a checkpoint."""
        if self._steps:
            checkpoint[KEY] = {"steps": torch.tensor(self._steps)} | {
                STORED_AS.get(name, name): torch.stack(values)
                for name, values in self._curves.items()
            }

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Take the values out of a checkpoint."""
        if KEY in checkpoint:
            names = {stored: name for name, stored in STORED_AS.items()}
            stored = dict(checkpoint[KEY])
            self._steps = stored.pop("steps").tolist()
            self._curves = {
                names.get(key, key): list(values.cpu()) for key, values in stored.items()
            }


def _summary(runner: Runner, loss: StatefulLoss, curves: dict[str, Tensor]) -> list[str]:
    """Means for the log's line, and the largest entry of the leading curve."""
    parts = []
    for name, value in curves.items():
        if value.ndim == 0:
            parts.append(f"{name} {value:.4g}")
            continue
        parts.append(f"{name} mean {value.mean():.4g}")
        if name == next(iter(curves)):
            top = int(value.argmax())
            entry = _names(runner, loss, name, value)[top]
            parts.append(f"largest {value[top]:.4g} ({entry})")
    return parts


def _scalars(runner: Runner, loss: StatefulLoss, curves: dict[str, Tensor]) -> dict[str, float]:
    prefix = loss.label.lower()
    scalars = {}
    for name, value in curves.items():
        if value.ndim == 0:
            scalars[f"{prefix}/{name}"] = float(value)
            continue
        scalars[f"{prefix}/{name}_mean"] = float(value.mean())
        if name == next(iter(curves)):
            scalars[f"{prefix}/{name}_max"] = float(value.max())
        if len(value) <= MAX_CURVES:
            entries = zip(_names(runner, loss, name, value), value.tolist(), strict=True)
            scalars |= {f"{prefix}/{name}/{entry}": number for entry, number in entries}
    return scalars


def _names(runner: Runner, loss: StatefulLoss, curve: str, value: Tensor) -> Sequence[str]:
    """Names of the entries by the loss, or of the classes by the validation set, or numbers."""
    given = loss.state.entry_names(curve)
    if given is not None:
        return given
    loader = getattr(runner, "val_dataloader", None)  # none in a run without validation
    meta = getattr(getattr(loader, "dataset", None), "metainfo", None) or {}
    names = [str(name) for name in meta.get("classes") or ()]
    if len(names) != len(value):
        return [f"class {k}" for k in range(len(value))]
    return unique_names(names)
