"""Nonconformity scores of split-conformal classification."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

__all__ = ["Score", "conformal_scores"]

Score = Literal["lac", "aps", "raps"]


@torch.no_grad()
def conformal_scores(
    logits: Tensor,
    score: Score = "lac",
    *,
    rank_penalty: float = 0.01,
    free_ranks: int = 5,
    probabilities: bool = False,
    uniform: Tensor | None = None,
) -> Tensor:
    """Compute the score of each class for each sample; small scores mean that a class fits.

    Let p be the probabilities of a sample, and o the rank of class k (1, 2, ...) in descending
    order of p. The score of class k is

    - ``'lac'``: 1 - p_k, which gives the smallest sets on average;
    - ``'aps'``: the sum of p over the classes before k, plus u p_k, which gives larger sets if the
      model is unsure;
    - ``'raps'``: the score of ``'aps'`` plus ``rank_penalty`` * max(o - ``free_ranks``, 0), which
      keeps a long tail of improbable classes out of the sets.

    Args:
        logits: (N, K) floating: logits, or probabilities if ``probabilities`` is true.
        score: Name of the score.
        rank_penalty: Weight of the rank, for ``'raps'``.
        free_ranks: Ranks without a penalty, for ``'raps'``.
        probabilities: ``logits`` holds probabilities.
        uniform: The u of each sample, (N,) in [0, 1], for ``'aps'`` and ``'raps'``. None means u =
            0, so that a set is the smallest one whose probabilities reach the threshold.

    Returns:
        (N, K) float64.

    Raises:
        ValueError: For an unknown score, a shape other than (N, K), a negative penalty or number of
            ranks, or NaN or infinite values.

    Reference:
        LAC: Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error
        Levels, JASA 2019. APS: Romano, Sesia and Candès, Classification with Valid and Adaptive
        Coverage, NeurIPS 2020. RAPS: Angelopoulos, Bates, Malik and Jordan, Uncertainty Sets for
        Image Classifiers using Conformal Prediction, ICLR 2021.

    Example:
        >>> p = torch.tensor([[0.6, 0.1, 0.3]])
        >>> conformal_scores(p, "lac", probabilities=True)
        tensor([[0.4000, 0.9000, 0.7000]], dtype=torch.float64)
        >>> conformal_scores(p, "aps", probabilities=True)
        tensor([[0.0000, 0.9000, 0.6000]], dtype=torch.float64)
    """
    if score not in get_args(Score):
        raise ValueError(f"score must be 'lac', 'aps' or 'raps', got {score!r}")
    if logits.ndim != 2:
        raise ValueError(
            f"need (N, K), one label a sample, got {tuple(logits.shape)}; for label maps there is "
            "control_risk"
        )
    if not rank_penalty >= 0 or free_ranks < 0:
        raise ValueError(
            f"rank_penalty and free_ranks must not be negative, got {rank_penalty} and {free_ranks}"
        )
    values = (logits.cpu() if logits.device.type == "mps" else logits).double()
    if not values.isfinite().all():
        raise ValueError("cannot score logits that hold NaN or Inf")
    p = values if probabilities else values.softmax(1)
    if score == "lac":
        return 1 - p
    falling, order = p.sort(dim=1, descending=True, stable=True)
    before = falling.cumsum(1) - falling
    before[:, 0] = 0  # but for rounding it is
    scores = before if uniform is None else before + uniform.to(p)[:, None] * falling
    if score == "raps":
        ranks = torch.arange(1, p.shape[1] + 1, device=p.device, dtype=p.dtype)
        scores = scores + rank_penalty * (ranks - free_ranks).clamp(min=0)
    return torch.empty_like(scores).scatter_(1, order, scores)
