"""The loss of bilinearly resized logits: what its backends get and give, and the eager one."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .eager import EagerLoss
from .problem import PreparedLoss

__all__ = ["ResizedProblem", "ResizedSums", "count_correct", "eager_resized_loss", "precise"]

LARGE = 100.0
"""Logits of this size, mixed in float32, are off by 1e-5: where two classes nearly tie, so is the
gradient."""


class ResizedProblem(NamedTuple):
    """A loss whose logits are resized to the size of its labels."""

    loss: PreparedLoss
    """Its ``logits`` are (N, K, h, w) in float32 or float64, before resizing; all else is of the
    labels' size (H, W)."""
    align_corners: bool
    """Whether the centres of the corner pixels coincide, rather than the corners."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width (H, W) of the labels."""
        height, width = self.loss.target.shape[1:]
        return height, width


class ResizedSums(NamedTuple):
    """Scalars, those of :class:`LossSums` and one more."""

    entropy: float | Tensor
    """Sum of the cross entropies times ``entropy_scale``."""
    penalty: float | Tensor
    """Sum of the penalties times ``penalty_scale``."""
    violated: float | Tensor
    """Number of violated constraints over valid pixels and classes."""
    correct: int | Tensor
    """Number of valid pixels whose label has the largest logit, the first of equal ones."""


def eager_resized_loss(problem: ResizedProblem) -> ResizedSums:
    """Loss of a problem by full-size tensors, differentiable by autograd, also twice.

    Args:
        problem: The loss.

    Returns:
        Sums in the dtype of the logits.
    """
    loss, logits = problem.loss, problem.loss.logits
    full = F.interpolate(logits, problem.size, mode="bilinear", align_corners=problem.align_corners)
    sums, _ = EagerLoss().run(loss._replace(logits=full))
    return ResizedSums(*sums, count_correct(full.detach(), loss.target, loss.valid))


def count_correct(logits: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
    """Number () of pixels (N, ...) whose label has the first of the largest logits (N, K, ...)."""
    correct = logits.argmax(1) == target
    return (correct if valid is None else correct & valid).sum()


def precise(logits: Tensor) -> Tensor:
    """The logits, in float64 where any is so large that float32 is too coarse between two of them.

    They are few before resizing, so to look at them costs little; elsewhere than on the CPU it
    would wait for the device, and they stay as they are.
    """
    if logits.device.type != "cpu" or logits.dtype == torch.float64:
        return logits
    low, high = torch.aminmax(logits)
    return logits.double() if max(-float(low), float(high)) > LARGE else logits
