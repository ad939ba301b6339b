"""Pretrained weights that a config downloads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from cals_mm.datasets.cityscapes_layout import DEMO_MANIFEST

from .data_root import data_roots

__all__ = ["explain_missing_weights", "train_demo_from_scratch"]

REMOTE = ("http://", "https://", "open-mmlab://", "torchvision://", "mmcls://", "s3://")


def train_demo_from_scratch(cfg: Config) -> list[str]:
    """Leave out pretrained weights if the data are the synthetic demo scenes.

    The demo must run without a network, and ImageNet weights do not help with its scenes. Configs
    of real data keep their weights, as training from scratch by mistake would waste hours.

    Returns:
        The weights left out.
    """
    roots = data_roots(cfg)
    if not roots or not all(os.path.isfile(os.path.join(root, DEMO_MANIFEST)) for root in roots):
        return []
    left_out = []
    for part, key, weights in list(_remote_weights(cfg.get("model"))):
        part[key] = None
        left_out.append(weights)
    return left_out


def explain_missing_weights(cfg: Config) -> str | None:
    """Explain what to do if pretrained weights could not be downloaded; None if there are none."""
    names = [weights for _, _, weights in _remote_weights(cfg.get("model"))]
    if not names:
        return None
    return (
        f"could not fetch the pretrained weights {names[0]!r}; download them where there is a "
        "network and put the file into ~/.cache/torch/hub/checkpoints, or train from scratch by "
        "--cfg-options model.pretrained=None or model.backbone.init_cfg=None"
    )


def _remote_weights(part: Any) -> Iterator[tuple[Any, str, str]]:
    """Yield each part of a model config with remote weights, the key, and the weights."""
    if isinstance(part, dict):
        for key in ("pretrained", "init_cfg"):
            value = part.get(key)
            weights = value.get("checkpoint") if isinstance(value, dict) else value
            if isinstance(weights, str) and weights.startswith(REMOTE):
                yield part, key, weights
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for item in part:
            yield from _remote_weights(item)
