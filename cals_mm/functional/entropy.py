"""Cross entropy with a reward for the entropy of the prediction."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["entropy_penalty_loss"]


def entropy_penalty_loss(logits: Tensor, target: Tensor, weight: float = 0.1) -> Tensor:
    r"""Cross entropy minus weighted entropy of each sample, :math:`CE(z, y) - w H(p)`.

    The entropy is :math:`H(p) = -\sum_k p_k \log p_k` in nats. Up to a constant, the loss equals
    cross entropy plus :math:`w \, KL(p \,\|\, \text{uniform})`.

    Args:
        logits: (N, K, ...) float32 or float64.
        target: Labels (N, ...) int64 in 0..K-1, or class probabilities of the logits' shape.
        weight: Weight w of the entropy.

    Returns:
        Tensor (N, ...), in the dtype of ``logits``. It may be negative.

    Reference:
        Pereyra et al., Regularizing Neural Networks by Penalizing Confident Output Distributions,
        ICLR 2017 workshop (arXiv 1701.06548), Section 3.

    Example:
        >>> import torch
        >>> entropy_penalty_loss(torch.zeros(1, 2), torch.tensor([1]), weight=0.5)
        tensor([0.3466])
    """
    log_p = logits.log_softmax(1)
    if target.is_floating_point():
        cross_entropy = -(target * log_p).sum(1)
    else:
        cross_entropy = F.nll_loss(log_p, target, reduction="none")
    return cross_entropy + weight * (log_p.exp() * log_p).sum(1)
