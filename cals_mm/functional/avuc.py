"""Accuracy versus uncertainty."""

from __future__ import annotations

import torch
from torch import Tensor

from ._summaries import EPSILON

__all__ = ["accuracy_versus_uncertainty"]


def accuracy_versus_uncertainty(
    confidence: Tensor, entropy: Tensor, correct: Tensor, threshold: float | Tensor
) -> Tensor:
    r"""Soft share of samples that are accurate and certain, or inaccurate and uncertain.

    .. math:: AvU = \frac{n_{AC} + n_{IU}}{n_{AC} + n_{AU} + n_{IC} + n_{IU} + 10^{-10}}

    with sums over the accurate and certain, accurate and uncertain, inaccurate and certain, and
    inaccurate and uncertain samples: of :math:`r (1 - \tanh u)`, :math:`r \tanh u`, :math:`(1 -
    r)(1 - \tanh u)` and :math:`(1 - r) \tanh u`. A sample is uncertain if u exceeds the threshold;
    no gradient flows through this decision.

    Args:
        confidence: Largest probabilities r, (N,) floating.
        entropy: Entropies u in nats, (N,).
        correct: Whether the prediction is correct, (N,) bool.
        threshold: Threshold in nats, a number or a tensor ().

    Returns:
        Scalar in [0, 1]; 0 without samples.

    Reference:
        Krishnan and Tickoo, Improving Model Calibration with Accuracy versus Uncertainty
        Optimization, NeurIPS 2020 (arXiv 2012.07923), Equations 1 and 2.

    Example:
        >>> import torch
        >>> confidence, entropy = torch.tensor([0.9, 0.6]), torch.tensor([0.0, 0.0])
        >>> accuracy_versus_uncertainty(confidence, entropy, torch.tensor([True, False]), 0.5)
        tensor(0.6923)
    """
    certain = entropy.detach() <= threshold
    size = torch.where(correct, confidence, 1 - confidence)
    doubt = entropy.tanh()
    each = size * torch.where(certain, 1 - doubt, doubt)
    return torch.where(correct == certain, each, 0).sum() / (each.sum() + EPSILON)
