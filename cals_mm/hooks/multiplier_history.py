"""Per-class multipliers and rho over a training run: log, checkpoint, picture."""

from __future__ import annotations

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from cals_mm.core import AugmentedLagrangian

__all__ = ["MultiplierHistory"]

KEY = "cals_history"
MAX_CURVES = 200
"""More classes than this are logged as mean and maximum alone; the picture shows them all."""


class MultiplierHistory:
    """Values after every update.

    Args:
        draw: Whether :meth:`draw` draws.
    """

    def __init__(self, draw: bool = True) -> None:
        self._draw = draw
        self._steps: list[int] = []
        self._multipliers: list[torch.Tensor] = []
        self._rho: list[torch.Tensor] = []

    def append(self, runner: Runner, lagrangian: AugmentedLagrangian) -> None:
        """Note the values after an update, log them as scalars and in one line of text."""
        multipliers = lagrangian.multipliers.detach().cpu().clone()
        rho = lagrangian.rho.detach().cpu().clone()
        self._steps.append(runner.iter)
        self._multipliers.append(multipliers)
        self._rho.append(rho)
        names = class_names(runner, len(multipliers))
        top = int(multipliers.argmax())
        runner.logger.info(
            f"CALS update {int(lagrangian.num_updates)}: lambda mean {multipliers.mean():.4g}, "
            f"largest {multipliers[top]:.4g} ({names[top]}), rho mean {rho.mean():.4g}"
        )
        scalars = {
            "cals/lambda_mean": float(multipliers.mean()),
            "cals/lambda_max": float(multipliers.max()),
            "cals/rho_mean": float(rho.mean()),
        }
        if len(names) <= MAX_CURVES:
            for name, lam, coefficient in zip(
                names, multipliers.tolist(), rho.tolist(), strict=True
            ):
                scalars[f"cals/lambda/{name}"] = lam
                scalars[f"cals/rho/{name}"] = coefficient
        runner.visualizer.add_scalars(scalars, step=runner.iter)

    def draw(self, runner: Runner) -> None:
        """Draw the curves through the runner's visualizer, on the main process."""
        if not (self._draw and self._steps and is_main_process()):
            return
        # matplotlib is slow to import, and only needed here.
        from cals_mm.visualization import multiplier_curves

        image = multiplier_curves(
            self._steps,
            torch.stack(self._multipliers).numpy(),
            torch.stack(self._rho).numpy(),
            class_names(runner, len(self._rho[0])),
        )
        # A name with a slash would be written nowhere.
        runner.visualizer.add_image("cals_multipliers", image, step=runner.iter)

    def save(self, checkpoint: dict) -> None:
        """Put the values into a checkpoint."""
        if self._steps:
            checkpoint[KEY] = {
                "steps": torch.tensor(self._steps),
                "multipliers": torch.stack(self._multipliers),
                "rho": torch.stack(self._rho),
            }

    def load(self, checkpoint: dict) -> None:
        """Take the values out of a checkpoint."""
        if KEY in checkpoint:
            self._steps = checkpoint[KEY]["steps"].tolist()
            self._multipliers = list(checkpoint[KEY]["multipliers"].cpu())
            self._rho = list(checkpoint[KEY]["rho"].cpu())


def class_names(runner: Runner, num_classes: int) -> list[str]:
    """Names of the classes by the validation set, or numbers."""
    meta = getattr(runner.val_dataloader.dataset, "metainfo", None) or {}
    names = [str(name) for name in meta.get("classes", ())]
    return names if len(names) == num_classes else [f"class {k}" for k in range(num_classes)]
