"""Check that a model's loss is given the scores that its prediction is made from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cals_mm.functional._probabilities import LogitsCheck
from cals_mm.posthoc.folding import repeatable

from .keep_logits import keep_logits
from .logits import logits_and_target

__all__ = ["compare_training_scores"]

_TOLERANCE = 1e-2
"""Largest accepted difference of the scores, relative to their range over classes."""


def compare_training_scores(model: nn.Module, name: str, loader: Any) -> bool | None:
    """Pass a training sample to the loss and through the prediction, and compare the scores.

    Everything but the head of the loss is in evaluation mode, so that neither dropout nor batch
    statistics make a difference. Neither the model nor any generator of random numbers is changed.

    Args:
        model: The model, unwrapped.
        name: Name of the loss in the model.
        loader: Data loader of the training.

    Returns:
        Whether they are the same up to a constant, as for a softmax; None if that cannot be told,
        because the model allows no such comparison, its training scores are random, or it predicts
        no logits.
    """
    try:
        data = repeatable(lambda: loader.collate_fn([loader.dataset[0]]))()
        with _evaluating(model), torch.no_grad():
            predicted = repeatable(lambda: _predicted(model, data))()
            runs = [repeatable(lambda: _trained(model, name, data), seed)() for seed in (0, 1)]
    except Exception:  # if anything is wrong, the training says it better
        return None
    check = LogitsCheck()
    check.add(predicted)
    if check.warning():  # predictions that are no logits are reported where they are read
        return None
    first, second = ([each for each in run if each.shape == predicted.shape] for run in runs)
    if any(_same(scores, predicted) for scores in first):
        return True
    repeated = len(first) == len(second) and all(map(_same, first, second))
    return False if first and repeated else None


def _same(scores: Tensor, others: Tensor) -> bool:
    """Whether scores (N, K, ...) are equal up to a constant for each sample."""
    scores, others = (
        each.double() - each.double().mean(1, keepdim=True) for each in (scores, others)
    )
    largest = max(float(scores.abs().max()), float(others.abs().max()))
    return float((scores - others).abs().max()) <= _TOLERANCE * largest


def _predicted(model: Any, data: Any) -> Tensor:
    """Logits of the prediction, (N, K, ...), of the size of the labels."""
    batch = model.data_preprocessor(copy.deepcopy(data), training=False)
    for sample in batch["data_samples"]:
        if "gt_sem_seg" in sample:  # predictions have the size and direction of the original image
            size = tuple(sample.gt_sem_seg.shape[-2:])
            sample.set_metainfo({"ori_shape": size, "flip": False})
    with keep_logits(model):
        samples = model(**batch, mode="predict")
    return torch.stack([logits_and_target(sample)[0] for sample in samples])


def _trained(model: Any, name: str, data: Any) -> list[Tensor]:
    """Scores that the loss is called with, its head in training mode; the loss does not run."""
    loss = model.get_submodule(name)
    for depth in range(1, name.count(".") + 1):
        model.get_submodule(".".join(name.split(".")[:depth])).training = True
    given: list[Tensor] = []

    def remember(*arguments: Any, **options: Any) -> Tensor:
        scores: Tensor = next(iter((*arguments, *options.values())))
        given.append(scores)
        each = options.get("reduction_override") == "none"  # for a sampler of pixels
        return torch.zeros_like(scores[:, 0]) if each else scores.new_zeros(())

    loss.forward = remember
    try:
        model(**model.data_preprocessor(copy.deepcopy(data), training=False), mode="loss")
    finally:
        del loss.forward
    return given


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode, on whole images instead of windows."""
    modes = {module: module.training for module in model.modules()}
    settings = getattr(model, "test_cfg", None)
    model.eval()
    if settings is not None and settings.get("mode") == "slide":
        model.test_cfg = type(settings)({**settings, "mode": "whole"})
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        if settings is not None:
            model.test_cfg = settings
