"""One pass of a trained model over the validation split, kept as rows of logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor, nn
from tqdm import tqdm

from cals_mm.frameworks.logits import keep_logits, logits_and_target

from .runner import build_runner

__all__ = ["batch_logits", "held_out_logits", "held_out_runner", "ignored_label", "trained_runner"]

_MAX_LOGITS = 2**28
"""Logits that are kept at most of label maps: 1 GiB in float32."""


def trained_runner(cfg: Config, checkpoint: str) -> Runner:
    """Runner of a config whose model holds the checkpoint's weights and is in evaluation mode."""
    cfg.load_from, cfg.resume = None, False
    runner = build_runner(cfg)
    # Not the runner's own method: hooks such as EMAHook expect a run that has begun.
    load_checkpoint(runner.model, checkpoint, map_location="cpu")
    runner.model.eval()
    return runner


def held_out_runner(cfg: Config, checkpoint: str) -> Runner:
    """:func:`trained_runner` of a config with a validation split.

    Raises:
        ValueError: If the config has no validation split.
    """
    for key in ("val_dataloader", "val_evaluator", "val_cfg"):
        if cfg.get(key) is None:
            raise ValueError(f"the config has no {key}; set it to data held out of the training")
    return trained_runner(cfg, checkpoint)


def ignored_label(model: nn.Module) -> int:
    """Label of the pixels that count for nothing: the predicting head's, or -100 without one."""
    head: Any = getattr(model, "decode_head", None)
    if isinstance(head, nn.ModuleList):  # of a cascade the last head predicts
        head = head[-1]
    ignored = getattr(head, "ignore_index", None)
    return ignored if isinstance(ignored, int) else -100


@torch.no_grad()
def batch_logits(model: nn.Module, batch: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (K,) or (K, H, W) and labels () or (H, W) of each sample of a batch, on the CPU."""
    with keep_logits(model):
        samples = model.val_step(batch)  # type: ignore[operator]
    for sample in samples:
        logits, target = logits_and_target(sample)
        yield logits.cpu(), target.cpu()


def held_out_logits(runner: Runner, pixels: int = 2000) -> tuple[Tensor, Tensor]:
    """Logits of the validation split.

    Of label maps, each image gives the same number of valid pixels, drawn at random without
    replacement and the same at every call; fewer than asked for where all of them would exceed
    2^28 logits, so the memory stays bounded whatever the size of the split.

    Args:
        runner: As from :func:`held_out_runner`.
        pixels: Pixels of each image.

    Returns:
        Logits (N, K) and labels (N,) int64, on the CPU.

    Raises:
        ValueError: If the number of pixels is not positive.
    """
    if pixels < 1:
        raise ValueError(f"the number of pixels must be positive, got {pixels}")
    loader = runner.val_dataloader
    ignored = ignored_label(runner.model)
    generator = torch.Generator().manual_seed(0)
    logits, targets = [], []
    for batch in tqdm(loader, desc="held-out data", unit="batch"):
        for scores, target in batch_logits(runner.model, batch):
            limit = max(1, _MAX_LOGITS // (len(loader.dataset) * len(scores)))
            labels = target.flatten()
            valid = (labels != ignored).nonzero()[:, 0]
            order = torch.randperm(len(valid), generator=generator)
            chosen = valid[order[: min(pixels, limit)]]
            logits.append(scores.flatten(1)[:, chosen].T if scores.ndim > 1 else scores[None])
            targets.append(labels[chosen])
    if not logits:
        raise ValueError("the validation split is empty")
    return torch.cat(logits), torch.cat(targets)
