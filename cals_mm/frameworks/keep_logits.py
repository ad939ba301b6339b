"""Add the logits to predictions."""

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
"""Most outputs to remember, which is more than the branches of any model."""


@contextmanager
def keep_logits(model: nn.Module) -> Iterator[None]:
    """Add a classifier's logits to its predictions as ``data_sample.logits``.

    The logits are those outputs (N, K) of the model's heads, or of any module if there are no
    heads, whose softmax equals the prediction. If there are none, because branches or models are
    averaged, the logarithm of the predicted probabilities is used instead. With test-time
    augmentation, also in segmentation, it is the logarithm of the mean probability of the views.
    Other predictions of mmsegmentation hold logits already and stay unchanged.

    Args:
        model: The model, unwrapped.

    Yields:
        None; the model is restored afterwards.
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
        del outputs[:-_KEPT]  # from calls without a prediction

    def attach(module: nn.Module, inputs: Any, result: Any) -> None:
        samples = list(result) if isinstance(result, Sequence) else []
        if not samples or not all(hasattr(sample, "set_field") for sample in samples):
            return  # a nested call
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
    """Yield tensors (N, K) in a module's output: itself, entries of a list, or its ``logits``."""
    if isinstance(output, Tensor):
        if output.ndim == 2 and output.is_floating_point():
            yield output.detach()
    elif isinstance(output, (list, tuple)):
        for item in output:
            yield from _score_tensors(item)
    elif isinstance(getattr(output, "logits", None), Tensor):
        yield from _score_tensors(output.logits)


def _predicted(candidates: Sequence[Tensor], samples: Sequence[Any]) -> list[Tensor | None]:
    """Logits of each sample, from the last candidate whose softmax equals the prediction."""
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
                if "pred_label" in sample:  # mmpretrain keeps that of the first view
                    sample.set_pred_label(mean.argmax(0, keepdim=True))
        return merged

    model.merge_preds = merge
    try:
        yield
    finally:
        del model.merge_preds


def _mean_probability(samples: Sequence[Any]) -> Tensor | None:
    """Mean probabilities over views, (K, ...); None if the views do not contain them."""
    views = []
    for sample in samples:
        if "seg_logits" in sample and len(sample.seg_logits.data) > 1:
            views.append(sample.seg_logits.data.float().softmax(0))
        elif "pred_score" in sample:
            views.append(sample.pred_score.float())
    return torch.stack(views).mean(0) if len(views) == len(samples) else None
