"""Fit a scaling for a trained model, fold it into the model, and test the result."""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor

from cals_mm.config import measure_calibration
from cals_mm.posthoc import (
    LogitScaler,
    ScalingMethod,
    TemperatureScaler,
    final_layer,
    fold_model_,
    make_scaler,
)

from .held_out import held_out_logits, held_out_runner, refuse_test_files
from .runner import build_runner
from .split import batch_predictions

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ["Scaling", "calibration_test", "held_out_temperature", "scale_model_"]


class Scaling(NamedTuple):
    """A scaling that was folded into a model."""

    scaler: LogitScaler
    """The fitted scaling."""
    layer: str
    """Name of the layer that it was folded into."""
    notes: dict[str, Any]
    """Notes on the scaling for the checkpoint."""


def scale_model_(
    runner: Runner,
    method: ScalingMethod,
    l2: float = 1e-3,
    pixels: int = 2000,
    part: Container[int] | None = None,
) -> Scaling:
    """Fit a scaling to the validation split and fold it into the runner's model.

    Args:
        runner: Runner made by :func:`~cals_mm.runs.held_out_runner`.
        method: Name of the scaling.
        l2: As for :func:`~cals_mm.posthoc.make_scaler`.
        pixels: Number of pixels to draw from each label map.
        part: Numbers of the validation samples that are taken; None: all.

    Returns:
        The scaling, which is now part of the model's weights.

    Raises:
        ValueError: If the logits are not computed by a single layer, or those of the folded model
            are not the scaled ones.
    """
    model, batch = runner.model, next(iter(runner.val_dataloader))

    def read_logits() -> list[Tensor]:
        # The rounding of TF32 would hide small differences.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            seen = batch_predictions(model, copy.deepcopy(batch))
            return [prediction.logits.cpu() for prediction in seen]

    layer = final_layer(model, read_logits)
    logits, target = held_out_logits(runner, pixels, part)
    scaler = make_scaler(method, logits.shape[1], l2).fit(logits, target)
    fold_model_(model, layer, scaler, read_logits)
    weight, bias = (numbers.tolist() for numbers in scaler.linear())
    notes = {
        "method": method,
        "layer": layer,
        "weight": weight,
        "bias": bias,
        "samples": len(target),
        "nll_before": float(F.cross_entropy(logits.double(), target)),
        "nll_after": float(F.cross_entropy(scaler(logits.double()), target)),
    }
    if method == "temperature":
        notes["temperature"] = float(1 / scaler.linear()[0])
    return Scaling(scaler, layer, notes)


def held_out_temperature(cfg: Config, checkpoint: str, pixels: int = 2000) -> float:
    """Fit a temperature to the validation split, without changing the model.

    Args:
        cfg: The config; not modified.
        checkpoint: The trained model.
        pixels: Number of pixels to draw from each label map.

    Raises:
        ValueError: If the config has no validation split, or one that shares files with the test
            split.
    """
    cfg = copy.deepcopy(cfg)
    cfg.experiment_name, cfg.log_level = "held_out", "WARNING"
    runner = held_out_runner(cfg, checkpoint)
    refuse_test_files(runner)
    return float(TemperatureScaler().fit(*held_out_logits(runner, pixels)).temperature)


def calibration_test(
    cfg: Config, checkpoint: str, ignore_index: int, name: str
) -> dict[str, float]:
    """Test a checkpoint like ``tools/test.py``, with the calibration metric.

    Args:
        cfg: The config; not modified.
        checkpoint: The checkpoint.
        ignore_index: Label to ignore.
        name: Distinguishes the logs of several tests in one process.
    """
    cfg = copy.deepcopy(cfg)
    measure_calibration(cfg, {"ignore_index": ignore_index, "class_table": False, "draw": False})
    cfg.load_from, cfg.resume = checkpoint, False
    cfg.experiment_name = f"calibrate_{name}"
    metrics: dict[str, float] = build_runner(cfg).test()
    return metrics
