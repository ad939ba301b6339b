"""Logits of a trained model on the validation split, as many as fit into memory."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

import torch
from mmengine.config import Config
from torch import Tensor

from cals_mm.frameworks import ignored_label
from cals_mm.frameworks.shared_files import shared_files

from .split import Prediction, split_predictions, trained_runner

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = [
    "held_out_halves",
    "held_out_logits",
    "held_out_predictions",
    "held_out_runner",
    "refuse_test_files",
]

_MAX_LOGITS = 2**28
"""Most logits kept from label maps: 1 GiB in float32."""


def held_out_runner(cfg: Config, checkpoint: str) -> Runner:
    """Build the :func:`trained_runner` of a config with a validation split.

    Raises:
        ValueError: If the config has no validation split.
    """
    for key in ("val_dataloader", "val_evaluator", "val_cfg"):
        if cfg.get(key) is None:
            raise ValueError(f"the config has no {key}; set it to data held out of the training")
    return trained_runner(cfg, checkpoint)


def refuse_test_files(runner: Runner, cure: str = "") -> None:
    """Check that what is fitted to the validation split has not seen the test split.

    Args:
        runner: As from :func:`held_out_runner`.
        cure: What a user may do besides holding out data, for the message.

    Raises:
        ValueError: If the two share files.
    """
    if shared := shared_files(runner):
        raise ValueError(
            f"{shared} validation files are test files too, and what is fitted to them makes "
            "the test results optimistic: hold out a part of the training set as val_dataloader"
            f"{cure}"
        )


def held_out_halves(runner: Runner) -> tuple[set[int], set[int]]:
    """Divide the validation samples into two random halves of indices, the same at every call."""
    count = len(runner.val_dataloader.dataset)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    return set(order[: count // 2]), set(order[count // 2 :])


def held_out_predictions(
    runner: Runner, part: Container[int] | None = None
) -> Iterator[Prediction]:
    """Yield predictions on the validation split, or on its samples in ``part``."""
    loader = runner.val_dataloader
    seen = split_predictions(runner.model, loader, "validation split")
    return (item for number, item in enumerate(seen) if part is None or number in part)


def held_out_logits(
    runner: Runner, pixels: int = 2000, part: Container[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Collect logits of the validation split.

    The same number of valid pixels is drawn from each label map, at random without replacement and
    equally at every call. To bound memory, it is reduced if the total would exceed 2^28 logits.

    Args:
        runner: As from :func:`held_out_runner`.
        pixels: Number of pixels to draw from each image.
        part: Numbers of the samples that are taken; None: all.

    Returns:
        Logits (N, K) and labels (N,) int64, on the CPU.

    Raises:
        ValueError: If the number of pixels is not positive, or there are no samples.
    """
    if pixels < 1:
        raise ValueError(f"the number of pixels must be positive, got {pixels}")
    count = len(runner.val_dataloader.dataset)
    ignored = ignored_label(runner.model)
    generator = torch.Generator().manual_seed(0)
    logits, targets = [], []
    for scores, target, *_ in held_out_predictions(runner, part):
        limit = max(1, _MAX_LOGITS // (count * len(scores)))
        scores, labels = scores.cpu(), target.cpu().flatten()
        valid = (labels != ignored).nonzero()[:, 0]
        order = torch.randperm(len(valid), generator=generator)
        chosen = valid[order[: min(pixels, limit)]]
        logits.append(scores.flatten(1)[:, chosen].T if scores.ndim > 1 else scores[None])
        targets.append(labels[chosen])
    if not logits:
        raise ValueError("the validation split has too few samples to divide; hold out more")
    return torch.cat(logits), torch.cat(targets)
