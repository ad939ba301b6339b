"""The regulariser of adaptive and conditional label smoothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .backends.threads import buffers, run_tiles
from .backends.tiles import dense, split

__all__ = ["acls_penalty"]


def acls_penalty(
    logits: Tensor, margin: float = 10.0, predicted_weight: float = 1.0, others_weight: float = 0.1
) -> Tensor:
    r"""Regulariser of each sample, with a term for the predicted class and one for the others.

    With the predicted class :math:`\hat y = \arg\max_j z_j`,

    .. math:: R = \lambda_1 \max(0, z_{\hat y} - m)^2
              + \frac{\lambda_2}{K - 1} \sum_{j \ne \hat y} \max(0, sg(z_{\hat y}) - z_j - m)^2

    The first term pulls the largest logit itself towards the margin, so adding a constant to all
    logits changes R. In the second term the largest logit is detached, sg(), so each other logit is
    moved by its own distance only. All logits that equal the largest are treated as predicted.

    Args:
        logits: (N, K, ...) floating.
        margin: m in logit units.
        predicted_weight: Lambda 1.
        others_weight: Lambda 2.

    Returns:
        Tensor (N, ...), in the dtype of ``logits``; differentiable once.

    Reference:
        Park et al., ACLS: Adaptive and Conditional Label Smoothing for Network Calibration, ICCV
        2023 (arXiv 2308.11911), as in the authors' released code.

    Example:
        >>> import torch
        >>> acls_penalty(torch.tensor([[3.0, 0.0, 1.0]]), margin=1.0)
        tensor([4.2500])
    """
    value: Tensor = _Penalty.apply(logits, margin, predicted_weight, others_weight)
    return value


class _Penalty(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, margin: float, first: float, others: float) -> Tensor:
        ctx.save_for_backward(logits)
        ctx.settings = (margin, first, others / (logits.shape[1] - 1))
        shape = (logits.shape[0], *logits.shape[2:])
        value = torch.empty(shape, dtype=logits.dtype, device=logits.device)
        _each_tile(logits, [value], lambda z, value: _value(z, value, *ctx.settings))
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Any:
        (logits,) = ctx.saved_tensors
        gradient = torch.empty_like(dense(logits))
        _each_tile(
            logits,
            [slope.contiguous(), gradient],
            lambda z, slope, gradient: _gradient(z, slope, gradient, *ctx.settings),
        )
        return gradient, None, None, None


def _each_tile(logits: Tensor, parts: list[Tensor], work: Callable[..., None]) -> None:
    if not logits.numel():
        return
    logits = dense(logits)
    tiles = list(zip(*(split(part, logits) for part in (logits, *parts)), strict=True))
    run_tiles(lambda: lambda number: work(*tiles[number]), len(tiles), tiles[0][0])


def _value(z: Tensor, value: Tensor, margin: float, first: float, others: float) -> None:
    (excess,) = buffers(1, z, z.dtype)
    top = z.amax(1, keepdim=True)
    torch.sub(top - margin, z, out=excess).clamp_(min=0).square_()
    torch.sum(excess, 1, keepdim=True, out=value)
    value.mul_(others)
    if bool((top > margin).any()):
        value.add_((top - margin).clamp_(min=0).square_() * (z == top).sum(1, True), alpha=first)


def _gradient(
    z: Tensor, slope: Tensor, gradient: Tensor, margin: float, first: float, others: float
) -> None:
    top = z.amax(1, keepdim=True)
    torch.sub(top - margin, z, out=gradient).clamp_(min=0).mul_(slope * (-2 * others))
    if bool((top > margin).any()):
        gradient.add_((z == top) * ((top - margin).clamp_(min=0) * slope), alpha=2 * first)
