"""Binary constraints between pairs of classes, without a matrix of pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .backends.threads import run_tiles
from .backends.tiles import dense, split

__all__ = ["binary_discrimination", "binary_exclusion"]

FACTORS = 64
"""Number of factors 1 + exp(-|d|) <= 2 multiplied before a logarithm is taken."""


def binary_discrimination(logits: Tensor, target: Tensor) -> Tensor:
    r"""Binary discrimination constraints: the label's class against every other class.

    .. math:: BDC = \frac{1}{K - 1} \sum_{k \ne y} -\log \frac{p_y}{p_y + p_k}
                  = \frac{1}{K - 1} \sum_{k \ne y} \log(1 + e^{z_k - z_y})

    Args:
        logits: z, (N, K) or (N, K, ...), K >= 2, float32 or float64.
        target: Labels (N, ...) int64 in [0, K).

    Returns:
        Value of each sample, (N, ...).

    Reference:
        Cheng and Vasconcelos, Calibrating Deep Neural Networks by Pairwise Constraints, CVPR
        2022, Section 4.

    Example:
        >>> import torch
        >>> binary_discrimination(torch.zeros(1, 3), torch.tensor([0]))
        tensor([0.6931])
    """
    label = target.unsqueeze(1)
    losses = -F.logsigmoid(logits.gather(1, label) - logits)
    return losses.scatter(1, label, 0).sum(1) / (logits.shape[1] - 1)


def binary_exclusion(logits: Tensor, target: Tensor) -> Tensor:
    r"""Binary exclusion constraints: all classes but the label's should be equally probable.

    .. math:: BEC = \frac{1}{(K - 1)(K - 2)} \sum_{i \ne j;\; i, j \ne y}
                    -\frac12 \log \frac{p_i}{p_i + p_j}

    This is the mean over ordered pairs of classes that are not the label's: log(2) / 2 if all of
    them are equally probable, and 0 if K = 2. Each unordered pair is visited once, all pairs (k, k
    + s) with the same s together, which takes O(K^2) time and O(K) memory per sample. The gradient
    is computed along with the value.

    Args:
        logits: z, (N, K) or (N, K, ...), K >= 2, float32 or float64.
        target: Labels (N, ...) int64 in [0, K).

    Returns:
        Value of each sample, (N, ...); differentiable once.

    Reference:
        Cheng and Vasconcelos, Calibrating Deep Neural Networks by Pairwise Constraints, CVPR
        2022, Section 4.

    Example:
        >>> import torch
        >>> binary_exclusion(torch.zeros(1, 4), torch.tensor([0]))
        tensor([0.3466])
    """
    # Checked here, as grad mode is off inside the function, and requires_grad ignores no_grad.
    with_gradient = torch.is_grad_enabled() and logits.requires_grad
    result: Tensor = _BinaryExclusion.apply(logits, target, with_gradient)
    return result


class _BinaryExclusion(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, with_gradient: bool) -> Tensor:
        logits = dense(logits)
        value = torch.zeros(target.shape, dtype=logits.dtype, device=logits.device)
        # In the memory layout of the logits, so that the tiles match.
        gradient = torch.zeros_like(logits) if with_gradient else None
        if logits.shape[1] > 2 and logits.numel():
            parts = [split(part, logits) for part in (logits, target.contiguous(), value)]
            slopes = [None] * len(parts[0]) if gradient is None else split(gradient, logits)
            tiles = list(zip(*parts, slopes, strict=True))

            def make_worker() -> Callable[[int], None]:
                return lambda number: _exclude(*tiles[number])

            run_tiles(make_worker, len(tiles), parts[0][0])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_value: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_value.unsqueeze(1), None, None


def _exclude(logits: Tensor, target: Tensor, value: Tensor, gradient: Tensor | None) -> None:
    """Value (B, 1, ...) and gradient (B, K, ...) of a tile, written in place."""
    num_classes = logits.shape[1]
    position = torch.arange(num_classes - 1, device=logits.device)
    after = position.view(-1, *[1] * (logits.ndim - 2)) >= target
    rest = torch.where(after, logits[:, 1:], logits[:, :-1])  # all classes but the label's
    slope = None if gradient is None else torch.zeros_like(rest)
    total, product = torch.zeros_like(rest), torch.ones_like(rest)
    for shift in range(1, num_classes - 1):
        difference = rest[:, shift:] - rest[:, :-shift]
        size = difference.abs()
        # softplus(d) + softplus(-d) = |d| + 2 log(1 + exp(-|d|))
        total[:, shift:].add_(size, alpha=0.5)
        product[:, shift:].mul_(size.neg_().exp_().add_(1))
        if shift % FACTORS == 0 or shift == num_classes - 2:
            total += product.log()
            product.fill_(1)
        if slope is not None:
            push = difference.mul_(0.5).tanh_().mul_(0.5)
            slope[:, shift:] += push
            slope[:, :-shift] -= push
    pairs = (num_classes - 1) * (num_classes - 2)
    value.copy_(total.sum(1, keepdim=True) / pairs)
    if slope is not None and gradient is not None:
        slope /= pairs
        gradient[:, 1:].copy_(torch.where(after, slope, 0))
        gradient[:, :-1] += torch.where(after, 0, slope)
