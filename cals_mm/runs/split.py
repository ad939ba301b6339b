"""Run a trained model over a split, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from cals_mm.frameworks import keep_logits, logits_and_target

from .runner import build_runner

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ["Prediction", "batch_predictions", "split_predictions", "trained_runner"]


class Prediction(NamedTuple):
    """Prediction for one sample, on the model's device."""

    logits: Tensor
    """(K,) or (K, H, W), floating."""
    target: Tensor
    """() or (H, W), int64."""
    inputs: Any
    """The sample's entry of ``batch['inputs']``, before the data preprocessor."""
    sample: Any
    """The data sample."""


def trained_runner(cfg: Config, checkpoint: str) -> Runner:
    """Build the runner of a config, with the checkpoint's weights and in evaluation mode."""
    from mmengine.runner import load_checkpoint

    cfg.load_from, cfg.resume = None, False
    runner = build_runner(cfg)
    # Not by the runner's method, since hooks such as EMAHook expect a run that has started.
    load_checkpoint(runner.model, checkpoint, map_location="cpu")
    runner.model.eval()
    return runner


@torch.no_grad()
def batch_predictions(model: nn.Module, batch: Any) -> list[Prediction]:
    """Predict one batch; the model is unwrapped and in evaluation mode."""
    with keep_logits(model):
        samples = model.test_step(batch)  # type: ignore[operator]
    return [
        Prediction(*logits_and_target(sample), inputs, sample)
        for sample, inputs in zip(samples, batch["inputs"], strict=True)
    ]


def split_predictions(
    model: nn.Module, loader: DataLoader[Any], title: str
) -> Iterator[Prediction]:
    """Predict a split and show progress; the model is unwrapped and in evaluation mode.

    Args:
        model: The model.
        loader: Data loader of the split.
        title: Name of the split, for the progress bar.

    Yields:
        A prediction for each sample, in the order of the loader.

    Raises:
        ValueError: If the split is empty.
    """
    empty = True
    for batch in tqdm(loader, desc=title, unit="batch"):
        for prediction in batch_predictions(model, batch):
            empty = False
            yield prediction
    if empty:
        raise ValueError(f"the {title} is empty")
