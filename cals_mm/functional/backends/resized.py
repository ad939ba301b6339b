"""The loss of bilinearly resized logits: the problem, its sums, and the eager backend."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .eager import EagerLoss
from .problem import PreparedLoss

__all__ = ["ResizedProblem", "ResizedSums", "count_correct", "eager_resized_loss", "precise"]

LARGE = 100.0
"""Interpolating logits of this size in float32 has an error of 1e-5, and so has the gradient where
two classes nearly tie."""


class ResizedProblem(NamedTuple):
    """A loss whose logits are resized to the size of its labels."""

    loss: PreparedLoss
    """Its ``logits`` are (N, K, h, w) in float32 or float64, before resizing; everything else has
    the size (H, W) of the labels."""
    align_corners: bool
    """Whether the centres of the corner pixels coincide, rather than the corners."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width (H, W) of the labels."""
        height, width = self.loss.target.shape[1:]
        return height, width


class ResizedSums(NamedTuple):
    """The scalars of :class:`LossSums` and one more."""

    entropy: float | Tensor
    """Sum of the cross entropies times ``entropy_scale``."""
    penalty: float | Tensor
    """Sum of the penalties times ``penalty_scale``."""
    violated: float | Tensor
    """Number of violated constraints over valid pixels and classes."""
    correct: int | Tensor
    """Number of valid pixels whose label has the largest logit, the first of equal ones."""


def eager_resized_loss(problem: ResizedProblem) -> ResizedSums:
    """Compute the loss with full-size tensors; autograd can differentiate it twice.

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
    """Count the pixels (N, ...) whose label has the first of the largest logits (N, K, ...)."""
    correct = logits.argmax(1) == target
    return (correct if valid is None else correct & valid).sum()


def precise(logits: Tensor) -> Tensor:
    """Convert logits to float64 if any is too large for interpolation in float32.

    The check is cheap before resizing. It is done on the CPU only; on other devices it would wait
    for the device.
    """
    if logits.device.type != "cpu" or logits.dtype == torch.float64:
        return logits
    low, high = torch.aminmax(logits)
    return logits.double() if max(-float(low), float(high)) > LARGE else logits
