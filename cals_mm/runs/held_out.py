"""Logits of a trained model on the validation split, as many as fit into memory."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from cals_mm.frameworks import ignored_label

from .split import split_predictions, trained_runner

__all__ = ["held_out_logits", "held_out_runner"]

_MAX_LOGITS = 2**28
"""Most logits that are kept of label maps: 1 GiB in float32."""


def held_out_runner(cfg: Config, checkpoint: str) -> Runner:
    """:func:`trained_runner` of a config with a validation split.

    Raises:
        ValueError: If the config has no validation split.
    """
    for key in ("val_dataloader", "val_evaluator", "val_cfg"):
        if cfg.get(key) is None:
            raise ValueError(f"the config has no {key}; set it to data held out of the training")
    return trained_runner(cfg, checkpoint)


def held_out_logits(runner: Runner, pixels: int = 2000) -> tuple[Tensor, Tensor]:
    """Logits of the validation split.

    Each label map gives the same number of valid pixels, drawn at random without replacement and
    the same at every call; fewer than asked for where all of them would exceed 2^28 logits, so
    memory stays bounded whatever the size of the split.

    Args:
        runner: As from :func:`held_out_runner`.
        pixels: Pixels of each image.

    Returns:
        Logits (N, K) and labels (N,) int64, on the CPU.

    Raises:
        ValueError: If the number of pixels is not positive, or the split is empty.
    """
    if pixels < 1:
        raise ValueError(f"the number of pixels must be positive, got {pixels}")
    loader = runner.val_dataloader
    ignored = ignored_label(runner.model)
    generator = torch.Generator().manual_seed(0)
    logits, targets = [], []
    for scores, target, *_ in split_predictions(runner.model, loader, "validation split"):
        limit = max(1, _MAX_LOGITS // (len(loader.dataset) * len(scores)))
        scores, labels = scores.cpu(), target.cpu().flatten()
        valid = (labels != ignored).nonzero()[:, 0]
        order = torch.randperm(len(valid), generator=generator)
        chosen = valid[order[: min(pixels, limit)]]
        logits.append(scores.flatten(1)[:, chosen].T if scores.ndim > 1 else scores[None])
        targets.append(labels[chosen])
    return torch.cat(logits), torch.cat(targets)
