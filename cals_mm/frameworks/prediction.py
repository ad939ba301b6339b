"""Check that logits belong to the prediction in the same sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["as_predicted", "log_probabilities"]

_PIXELS = 4096
"""Number of pixels to check in each image."""


def as_predicted(logits: Tensor, sample: Mapping[str, Any], probabilities: bool) -> Tensor:
    """Return the scores that the prediction of a sample was made from.

    Args:
        logits: (K,) or (K, H, W), as found in the sample.
        sample: The sample, optionally with its prediction: ``pred_score`` (K,) and ``pred_label``
            of a classifier, or ``pred_sem_seg`` of a segmentor.
        probabilities: Whether ``logits`` holds probabilities.

    Returns:
        ``logits`` if they agree with the prediction or there is none; else the predicted
        probabilities, or their logarithm in place of logits.

    Raises:
        ValueError: If the prediction was made from scores that the sample does not hold.
    """
    score = sample.get("pred_score")
    if logits.ndim == 1 and isinstance(score, Tensor):
        logits = _of_score(logits, score, probabilities)
    label = sample.get("pred_label") if logits.ndim == 1 else sample.get("pred_sem_seg")
    if label is None:
        return logits
    label = label["data"] if isinstance(label, Mapping) else getattr(label, "data", label)
    _check_label(logits, torch.as_tensor(label))
    return logits


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Logarithm of probabilities, finite even where they underflow."""
    wide = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32))
    return wide.clamp(min=torch.finfo(wide.dtype).tiny).log()


def _of_score(logits: Tensor, score: Tensor, probabilities: bool) -> Tensor:
    score = score.to(logits.device)
    if score.shape == logits.shape:
        given = logits.float() if probabilities else logits.float().softmax(0)
        difference = (given - score.float()).abs().max()
        half = torch.finfo(score.dtype).eps > 1e-4 or torch.finfo(logits.dtype).eps > 1e-4
        if not difference > (2e-2 if half else 1e-3):
            return logits
    total = float(score.float().sum())
    if score.ndim != 1 or float(score.min()) < 0 or abs(total - 1) > 1e-2:
        raise ValueError(
            f"the predicted scores (shape {tuple(score.shape)}, sum {total:.3g}) are not the "
            f"softmax of the logits (shape {tuple(logits.shape)}), nor any probabilities over "
            "classes, which calibration is defined on"
        )
    return score if probabilities else log_probabilities(score)


def _check_label(logits: Tensor, label: Tensor) -> None:
    scores = logits.flatten(1) if logits.ndim > 1 else logits[:, None]
    label = label.to(logits.device).reshape(-1)
    if len(label) != scores.shape[1]:
        if logits.ndim == 1:  # several predictions per sample, as from retrievers
            return
        raise ValueError(
            f"the predicted label map has {len(label)} pixels, the logits have {scores.shape[1]}; "
            "the prediction must be of the size of its logits"
        )
    step = -(-len(label) // _PIXELS)
    label, scores = label[::step].long(), scores[:, ::step]
    inside = (label >= 0) & (label < len(scores))
    own = scores.gather(0, label.clamp(0, len(scores) - 1)[None])[0]
    top = scores.amax(0)
    # Scores of half precision may be equal where the logits differ in their last digits.
    eps = torch.finfo(scores.dtype).eps
    wrong = ~inside | (top - own > max(1e-5, 2 * eps) + max(1e-3, eps) * top.abs())
    if wrong.any():
        share = 100 * float(wrong.double().mean())
        where = "" if logits.ndim == 1 else f" of {share:.3g} % of the pixels"
        raise ValueError(
            f"the predicted label{where} is not the one of the largest logit, so the logits in the "
            "data sample are not those of the prediction, which may have been merged or "
            "post-processed; evaluate the model without that, or let the sample hold the scores of "
            "the prediction"
        )
