"""Checkpoints of models whose logits were scaled after the training."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cals_mm import files

from .folding import fold_
from .logit_scaler import LogitScaler

__all__ = ["KEY", "default_name", "folded_checkpoint", "noted_checkpoint", "save_new"]

KEY = "cals_calibration"
"""Where a checkpoint's ``meta`` says how it was calibrated."""

_OF_TRAINING = ("optimizer", "param_schedulers", "ema_state_dict", "message_hub")
"""Parts that only a resumed training reads."""


def default_name(checkpoint: str, prefix: str) -> str:
    """The checkpoint's path with a prefix before its name.

    Not after it, so that this one is not found by what looks for the best or the last checkpoint
    of a run, by ``best_*.pth`` say.
    """
    folder, name = os.path.split(checkpoint)
    return os.path.join("" if "://" in checkpoint else folder, f"{prefix}_{Path(name).stem}.pth")


def folded_checkpoint(
    checkpoint: Mapping[str, Any], layer: str, scaler: LogitScaler, notes: Mapping[str, Any]
) -> dict[str, Any]:
    """A checkpoint with the scaling in one layer's weights; all other weights stay.

    What only a resumed training needs is left out: continuing from scaled weights would undo the
    calibration.

    Args:
        checkpoint: As read from the file, with a ``state_dict`` or being one; unchanged.
        layer: Name of the layer.
        scaler: The fitted scaling.
        notes: Kept as ``meta['cals_calibration']``.

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
    """A checkpoint with the same weights and a note on how it was calibrated.

    What only a resumed training needs is left out.

    Args:
        checkpoint: As read from the file, with a ``state_dict`` or being one; unchanged.
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


def save_new(checkpoint: Mapping[str, Any], path: str) -> None:
    """Write a checkpoint as a new file, which is complete or not there.

    Raises:
        ValueError: If the file exists.
    """
    with files.writing(path, overwrite=False) as stream:
        torch.save(dict(checkpoint), stream)
