"""Resizing of logits, cross entropy and the class-adaptive penalty, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ._fused import scalars
from ._normalisation import prepare
from ._resized_operator import fused_resized_loss, resized_parts, stand_in
from .backends.loss import choose_loss
from .backends.problem import LossProblem
from .backends.resized import ResizedProblem, eager_resized_loss
from .cals_loss import check_class_reduction, check_shapes
from .penalty import check_penalty
from .violation import check_margin

__all__ = ["UpsampledLossParts", "upsampled_cals_loss"]


class UpsampledLossParts(NamedTuple):
    """Parts of a loss value: detached scalars for logging."""

    cross_entropy: Tensor
    """Cross entropy, averaged."""
    penalty: Tensor
    """Penalty, averaged, before ``penalty_weight``."""
    violated: Tensor
    """Share of violated constraints (h > 0) over valid pixels and classes, in [0, 1]."""
    accuracy: Tensor
    """Share of valid pixels whose label has the largest logit, the first of equal ones, in [0, 1];
    1 if no pixel is valid, as in mmsegmentation."""


def upsampled_cals_loss(
    logits: Tensor,
    target: Tensor,
    multipliers: Tensor,
    rho: Tensor,
    margin: float = 10.0,
    *,
    align_corners: bool = False,
    kind: str = "phr",
    ignore_index: int | None = -100,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    class_reduction: str = "mean",
    penalty_weight: float = 1.0,
    sample_weight: Tensor | None = None,
    avg_factor: float | Tensor | None = None,
    return_parts: bool = False,
) -> Tensor | tuple[Tensor, UpsampledLossParts]:
    r"""Loss of logits resized to the labels, without a tensor of the resized size.

    It equals :func:`cals_loss` of ``torch.nn.functional.interpolate(logits, (H, W),
    mode='bilinear', align_corners=align_corners)``, in value and gradient, but interpolation, loss
    and gradient are computed in tiles that stay in the cache. Arithmetic is in float32, also under
    autocast, or in float64 for float64 logits. The result does not depend on the number of threads.

    Args:
        logits: (N, K, h, w) floating, of any size: smaller than the labels, equal or larger.
        target: Labels (N, H, W) int64.
        multipliers: As for :func:`cals_loss`, like all arguments not explained here.
        rho: Penalty coefficients, (K,).
        margin: Largest admissible logit distance, in logit units.
        align_corners: As for ``torch.nn.functional.interpolate``.
        kind: Penalty function.
        ignore_index: Label to ignore. None ignores no label.
        class_weight: Weights (K,) of the cross entropy.
        label_smoothing: Label smoothing of the cross entropy, a fraction in [0, 1].
        class_reduction: 'mean' over classes or 'sum'.
        penalty_weight: Factor of the penalty.
        sample_weight: Weights (N, H, W) of the cross entropy alone.
        avg_factor: Divisor of the summed cross entropy, instead of its own mean.
        return_parts: Also return :class:`UpsampledLossParts`.

    Returns:
        Scalar, or scalar and parts. Zero with a zero gradient if no pixel is valid.

    Raises:
        ValueError: If shapes or labels do not fit, or for an invalid margin or penalty.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3.

    Example:
        >>> import torch
        >>> loss, parts = upsampled_cals_loss(
        ...     torch.zeros(1, 2, 4, 4), torch.zeros(1, 16, 16, dtype=torch.long),
        ...     multipliers=torch.full((2,), 1e-6), rho=torch.ones(2), return_parts=True)
        >>> print(f"{loss:.4f} {parts.accuracy:.0%}")
        0.6931 100%
    """
    _check_sizes(logits, target)
    if logits.dtype in (torch.float16, torch.bfloat16):
        # Keep the gradient wide until it is multiplied by the incoming one, e.g. of a gradient
        # scaler: in float16, that of a mean over a million pixels would underflow.
        logits = logits.float()
    problem = LossProblem(
        stand_in(logits, target),
        target,
        multipliers,
        rho,
        check_margin(margin),
        check_penalty(kind),
        ignore_index,
        class_weight,
        label_smoothing,
        check_class_reduction(class_reduction) == "sum",
        penalty_weight,
        sample_weight,
        None if avg_factor is None else torch.as_tensor(avg_factor),
    )
    check_shapes(problem)
    backend = choose_loss(problem).name
    if backend == "eager":
        loss, parts = _eager(problem, logits, align_corners)
    else:
        loss, parts = fused_resized_loss(problem._replace(logits=logits), align_corners, backend)
    return (loss, UpsampledLossParts(*parts)) if return_parts else loss


def _check_sizes(logits: Tensor, target: Tensor) -> None:
    if logits.ndim != 4 or logits.shape[2] == 0 or logits.shape[3] == 0:
        raise ValueError(
            f"logits must have shape (N, K, h, w) with h and w of at least 1, got "
            f"{tuple(logits.shape)}"
        )
    if target.is_floating_point() or target.ndim != 3:
        raise ValueError(
            f"target must hold labels (N, H, W) of an integer dtype, got {tuple(target.shape)} "
            f"{target.dtype}"
        )


def _eager(
    problem: LossProblem, logits: Tensor, align_corners: bool
) -> tuple[Tensor, Sequence[Tensor]]:
    with torch.autocast(logits.device.type, enabled=False):
        prepared = prepare(problem, traced=True)._replace(logits=logits)
        sums = eager_resized_loss(ResizedProblem(prepared, align_corners))
        loss = torch.as_tensor(sums.entropy + problem.penalty_weight * sums.penalty)
    return loss, scalars(resized_parts(prepared, sums), logits)
