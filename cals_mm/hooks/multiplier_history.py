"""History of multipliers, rho and other state: logged, kept in checkpoints, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch import Tensor

from cals_mm.frameworks.reporting import never_fatal
from cals_mm.frameworks.selections import metainfo_of
from cals_mm.losses import StatefulLoss
from cals_mm.visualization.names import printable, unique_names

__all__ = ["MultiplierHistory"]

KEY = "cals_history"
STORED_AS = {"lambda": "multipliers"}
"""Names in checkpoints that differ from those of the curves."""
MAX_CURVES = 200
"""With more entries than this, only mean and maximum are logged; the figure shows them all."""


class MultiplierHistory:
    """The values of the state after every update.

    Args:
        draw: Whether :meth:`draw` draws anything.
    """

    def __init__(self, draw: bool = True) -> None:
        self._draw = draw
        self._steps: list[int] = []
        self._curves: dict[str, list[Tensor]] = {}

    def append(self, runner: Runner, loss: StatefulLoss) -> None:
        """Record the values after an update, and log them as scalars and as one line of text."""
        curves = {name: value.detach().cpu().clone() for name, value in loss.state.curves().items()}
        if any(self._curves.get(name, [v])[-1].shape != v.shape for name, v in curves.items()):
            self._steps, self._curves = [], {}  # of a loss that was exchanged for another kind
        self._steps.append(runner.iter)
        # A run resumed with other options may gain or lose a curve; missing values are NaN.
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
        # matplotlib is slow to import and only needed here.
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
        # A name with a slash would name a folder that does not exist.
        name = f"{loss.label.lower()}_{loss.state.learned}"
        runner.visualizer.add_image(name, image, step=runner.iter)

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Add the values to a checkpoint."""
        if self._steps:
            checkpoint[KEY] = {"steps": torch.tensor(self._steps)} | {
                STORED_AS.get(name, name): torch.stack(values)
                for name, values in self._curves.items()
            }

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Restore the values from a checkpoint."""
        if KEY in checkpoint:
            names = {stored: name for name, stored in STORED_AS.items()}
            stored = dict(checkpoint[KEY])
            self._steps = stored.pop("steps").tolist()
            self._curves = {
                names.get(key, key): list(values.cpu()) for key, values in stored.items()
            }


def _summary(runner: Runner, loss: StatefulLoss, curves: dict[str, Tensor]) -> list[str]:
    """Mean of each curve and maximum of the first one, for the log."""
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
    """Names of the entries: the loss's own, else the validation set's classes, else numbers."""
    given = loss.state.entry_names(curve)
    if given is not None:
        return given
    loader = getattr(runner, "val_dataloader", None)  # none in a run without validation
    meta = metainfo_of(getattr(loader, "dataset", None))
    names = [printable(str(name)) for name in meta.get("classes") or ()]
    if len(names) != len(value):
        return [f"class {k}" for k in range(len(value))]
    return unique_names(names)
