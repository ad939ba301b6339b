"""Checkpoints of models that were calibrated after training."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cals_mm import files

from .conformal import PredictionSets, RiskThreshold
from .folding import fold_
from .logit_scaler import LogitScaler

__all__ = [
    "KEY",
    "default_name",
    "fitted_bound",
    "folded_checkpoint",
    "noted_checkpoint",
    "save_new",
]

KEY = "cals_calibration"
"""Key of a checkpoint's ``meta`` that says how it was calibrated."""

_OF_TRAINING = ("optimizer", "param_schedulers", "ema_state_dict", "message_hub")
"""Parts that are needed only to resume training."""


def default_name(checkpoint: str, prefix: str) -> str:
    """The checkpoint's path with a prefix before the file name.

    A prefix, so that patterns such as ``best_*.pth``, which find the checkpoints of a run, do not
    match the calibrated one.
    """
    folder, name = os.path.split(checkpoint)
    return os.path.join("" if "://" in checkpoint else folder, f"{prefix}_{Path(name).stem}.pth")


def folded_checkpoint(
    checkpoint: Mapping[str, Any], layer: str, scaler: LogitScaler, notes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a checkpoint with the scaling folded into one layer's weights.

    Parts needed only to resume training are left out, since training further would undo the
    calibration.

    Args:
        checkpoint: As read from the file, a ``state_dict`` or a dict with one; not modified.
        layer: Name of the layer.
        scaler: The fitted scaling.
        notes: Stored as ``meta['cals_calibration']``.

    Returns:
        The new checkpoint.

    Raises:
        ValueError: If the checkpoint has no weights of that layer.
    """
    whole = "state_dict" in checkpoint
    state = dict(checkpoint["state_dict"] if whole else checkpoint)
    keys = {re.sub(r"^module\.", "", key): key for key in state}
    if f"{layer}.weight" not in keys:
        raise ValueError(
            f"the checkpoint has no '{layer}.weight', where the config's model makes its logits; "
            "give the config that it was trained with"
        )
    weight = state[keys[f"{layer}.weight"]] = state[keys[f"{layer}.weight"]].clone()
    bias = None
    if f"{layer}.bias" in keys:
        bias = state[keys[f"{layer}.bias"]] = state[keys[f"{layer}.bias"]].clone()
    fold_(weight, bias, scaler)
    return noted_checkpoint({**(checkpoint if whole else {}), "state_dict": state}, notes)


def noted_checkpoint(checkpoint: Mapping[str, Any], notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with the same weights and a note on how it was calibrated.

    Parts needed only to resume training are left out.

    Args:
        checkpoint: As read from the file, a ``state_dict`` or a dict with one; not modified.
        notes: Kept as ``meta['cals_calibration']``, with the earlier note, if there is one, as
            ``previous``.

    Returns:
        The new checkpoint.
    """
    if "state_dict" not in checkpoint:
        checkpoint = {"state_dict": dict(checkpoint)}
    kept = {key: value for key, value in checkpoint.items() if key not in _OF_TRAINING}
    meta = dict(checkpoint.get("meta", {}))
    previous = {"previous": meta[KEY]} if KEY in meta else {}
    return {**kept, "meta": {**meta, KEY: {**notes, **previous}}}


def fitted_bound(checkpoint: Mapping[str, Any]) -> PredictionSets | RiskThreshold | None:
    """Return the prediction sets or the threshold that a checkpoint carries, if any.

    Example:
        >>> threshold = RiskThreshold(risk=0.05, threshold=0.8, min_share=0.01, images=99)
        >>> notes = {"method": "none", "conformal": threshold.to_dict()}
        >>> fitted_bound(noted_checkpoint({"fc.weight": torch.ones(2, 2)}, notes)) == threshold
        True
    """
    values = checkpoint.get("meta", {}).get(KEY, {}).get("conformal")
    if values is None:
        return None
    return RiskThreshold(**values) if "risk" in values else PredictionSets.from_dict(values)


def save_new(checkpoint: Mapping[str, Any], path: str) -> None:
    """Write a checkpoint to a new file, atomically.

    Raises:
        ValueError: If the file exists.
    """
    with files.writing(path, overwrite=False) as stream:
        torch.save(dict(checkpoint), stream)
