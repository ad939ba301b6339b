"""The regulariser of adaptive and conditional label smoothing."""

from __future__ import annotations

from torch import Tensor

__all__ = ["acls_penalty"]


def acls_penalty(
    logits: Tensor, margin: float = 10.0, predicted_weight: float = 1.0, others_weight: float = 0.1
) -> Tensor:
    r"""Regulariser of each sample, one part for the predicted class and one for the others.

    With the predicted class :math:`\hat y = \arg\max_j z_j` (equal maxima share its gradient),

    .. math:: R = \lambda_1 \max(0, z_{\hat y} - \min_k z_k - m)^2
              + \frac{\lambda_2}{K - 1} \sum_{j \ne \hat y} \max(0, z_{\hat y} - z_j - m)^2

    Both parts are differentiated as they stand, also through the smallest and the largest logit.
    So what is taken from one logit is given to another: the gradients of a sample sum to 0, and
    value and gradient do not change when a constant is added to all logits. They grow with the
    excess (adaptive) and are zero within the margin (conditional).

    Args:
        logits: (N, K, ...) floating.
        margin: Distance m in logit units up to which nothing is punished.
        predicted_weight: Lambda 1.
        others_weight: Lambda 2.

    Returns:
        Tensor (N, ...), in the dtype of ``logits``.

    Reference:
        Park et al., ACLS: Adaptive and Conditional Label Smoothing for Network Calibration, ICCV
        2023 (arXiv 2308.11911).

    Example:
        >>> import torch
        >>> acls_penalty(torch.tensor([[3.0, 0.0, 1.0]]), margin=1.0)
        tensor([4.2500])
    """
    top = logits.amax(1, keepdim=True)
    low = logits.amin(1, keepdim=True)
    first = (top - low - margin).relu().square().squeeze(1)
    # At the predicted class itself the distance is 0, below any margin.
    excess = (top - logits - margin).relu()
    others = excess.square().sum(1) / (logits.shape[1] - 1)
    return predicted_weight * first + others_weight * others
