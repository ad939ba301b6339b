"""Let predictions carry the scores that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .logits import FIELD
from .prediction import as_predicted, log_probabilities

__all__ = ["keep_logits"]

_KEPT = 16
"""Outputs that are remembered at most: more branches than that predict together."""


@contextmanager
def keep_logits(model: nn.Module) -> Iterator[None]:
    """Let a classifier's predictions carry its raw scores as ``data_sample.logits``.

    Of the outputs (N, K) of the heads in the model, or without any of its parts, those are taken
    whose softmax is predicted; where branches or models are averaged there are none, and the
    logarithm of the predicted probabilities is taken. Merged views (test-time augmentation) carry
    the logarithm of their mean probability, also in segmentation. Otherwise nothing is done to
    mmsegmentation's models, whose samples hold logits.

    Args:
        model: The model, unwrapped.

    Yields:
        None; the model is left as it was.
    """
    if callable(getattr(model, "merge_preds", None)):
        with _merged_views(model):
            yield
        return
    heads = [module for name, module in model.named_modules() if name.split(".")[-1] == "head"]
    if hasattr(model, "decode_head"):
        yield
        return
    outputs: list[Tensor] = []

    def remember(module: nn.Module, inputs: Any, output: Any) -> None:
        outputs.extend(_score_tensors(output))
        del outputs[:-_KEPT]  # of calls that predict nothing

    def attach(module: nn.Module, inputs: Any, result: Any) -> None:
        samples = list(result) if isinstance(result, Sequence) else []
        if not samples or not all(hasattr(sample, "set_field") for sample in samples):
            return  # a call inside of the prediction
        fitting = [scores for scores in outputs if len(scores) == len(samples)]
        outputs.clear()
        if fitting or heads:
            for sample, logits in zip(samples, _predicted(fitting, samples), strict=True):
                if logits is not None:
                    sample.set_field(logits, FIELD)

    handles = [part.register_forward_hook(remember) for part in heads or model.children()]
    handles.append(model.register_forward_hook(attach))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _score_tensors(output: Any) -> Iterator[Tensor]:
    """Tensors (N, K) in the output of a module: itself, entries of a list, or its ``logits``."""
    if isinstance(output, Tensor):
        if output.ndim == 2 and output.is_floating_point():
            yield output.detach()
    elif isinstance(output, (list, tuple)):
        for item in output:
            yield from _score_tensors(item)
    elif isinstance(getattr(output, "logits", None), Tensor):
        yield from _score_tensors(output.logits)


def _predicted(candidates: Sequence[Tensor], samples: Sequence[Any]) -> list[Tensor | None]:
    """Logits of each sample: of the last candidate whose softmax is predicted."""
    scores = [sample.pred_score for sample in samples if hasattr(sample, "pred_score")]
    if len(scores) < len(samples):
        last = candidates[-1] if candidates else [None] * len(samples)
        return list(last)
    for candidate in reversed(candidates):
        if all(
            logits.shape == score.shape
            and as_predicted(logits, {"pred_score": score}, False) is logits
            for logits, score in zip(candidate, scores, strict=True)
        ):
            return list(candidate)
    return [log_probabilities(score) if score.ndim == 1 else None for score in scores]


@contextmanager
def _merged_views(model: Any) -> Iterator[None]:
    original: Callable[[Any], Any] = model.merge_preds

    def merge(views: Sequence[Sequence[Any]]) -> Any:
        means = [_mean_probability(samples) for samples in views]
        merged = original(views)
        for sample, mean in zip(merged, means, strict=True):
            if mean is not None:
                sample.set_field(log_probabilities(mean), FIELD)
                if "pred_label" in sample:  # mmpretrain leaves there that of the first view
                    sample.set_pred_label(mean.argmax(0, keepdim=True))
        return merged

    model.merge_preds = merge
    try:
        yield
    finally:
        del model.merge_preds


def _mean_probability(samples: Sequence[Any]) -> Tensor | None:
    """Mean over views of the probabilities (K, ...); None where the views do not say them."""
    views = []
    for sample in samples:
        if "seg_logits" in sample and len(sample.seg_logits.data) > 1:
            views.append(sample.seg_logits.data.float().softmax(0))
        elif "pred_score" in sample:
            views.append(sample.pred_score.float())
    return torch.stack(views).mean(0) if len(views) == len(samples) else None
