"""Focal loss of a softmax, with a constant or a sample-dependent gamma."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["focal_loss", "focal_weighted", "sample_dependent_gamma"]


def focal_loss(
    logits: Tensor,
    target: Tensor,
    gamma: float = 3.0,
    *,
    thresholds: Sequence[float] = (),
    gammas: Sequence[float] = (),
) -> Tensor:
    r"""Focal loss of each sample, :math:`-(1 - p_y)^\gamma \log p_y`.

    Args:
        logits: (N, K, ...) float32 or float64.
        target: Labels (N, ...) int64 in 0..K-1.
        gamma: Focus >= 0; 0 is cross entropy.
        thresholds: If given, gamma depends on the sample, see :func:`sample_dependent_gamma`.
        gammas: Gammas of the samples below each threshold; ``gamma`` applies to the others.

    Returns:
        Tensor (N, ...), in the dtype of ``logits``.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, Equation 4; Mukhoti et al.,
        Calibrating Deep Neural Networks using Focal Loss, NeurIPS 2020 (arXiv 2002.09437).

    Example:
        >>> import torch
        >>> focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), gamma=1.0)
        tensor([0.3466])
    """
    entropy = F.cross_entropy(logits, target, reduction="none")
    focus: float | Tensor = gamma
    if thresholds:
        focus = sample_dependent_gamma((-entropy.detach()).exp(), gamma, thresholds, gammas)
    return focal_weighted(entropy, focus)


def focal_weighted(entropy: Tensor, gamma: float | Tensor) -> Tensor:
    r"""Weight cross entropies as in the focal or the inverse focal loss.

    .. math:: -(1 - p)^\gamma \log p \;\text{ for } \gamma \ge 0, \qquad
              -(1 + p)^{|\gamma|} \log p \;\text{ for } \gamma < 0

    Args:
        entropy: Cross entropies -log p >= 0, of any shape, float32 or float64.
        gamma: A number >= 0, or one value of either sign per entropy.

    Returns:
        Tensor of the shape and dtype of ``entropy``.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, Equation 4; Ghosh et al.,
        AdaFocal, NeurIPS 2022 (arXiv 2211.11838), for the inverse focal loss.

    Example:
        >>> import math, torch
        >>> focal_weighted(torch.full((2,), math.log(2)), torch.tensor([1.0, -1.0]))
        tensor([0.3466, 1.0397])
    """
    # 1 - p without cancellation; powers below 1 have an infinite slope at 0.
    miss = -torch.expm1(-entropy)
    base = miss.clamp(min=torch.finfo(miss.dtype).eps ** 2)
    if isinstance(gamma, Tensor):
        base, gamma = torch.where(gamma < 0, 2 - miss, base), gamma.abs()
    return base**gamma * entropy


def sample_dependent_gamma(
    probability: Tensor, gamma: float, thresholds: Sequence[float], gammas: Sequence[float]
) -> Tensor:
    """Look up gamma of each sample by the probability of its label.

    Args:
        probability: Probabilities of the labels, of any shape, floating.
        gamma: Gamma of samples that lie below no threshold.
        thresholds: Ascending fractions in [0, 1].
        gammas: Gamma of samples below each threshold but not below the previous one.

    Returns:
        Tensor of the shape and dtype of ``probability``.

    Example:
        >>> import torch
        >>> sample_dependent_gamma(torch.tensor([0.1, 0.3]), 3.0, [0.2], [5.0])
        tensor([5., 3.])
    """
    focus = torch.full_like(probability, gamma)
    for threshold, value in zip(reversed(thresholds), reversed(gammas), strict=True):
        focus = torch.where(probability < threshold, value, focus)
    return focus
