"""What a backend of the margin penalty gets and gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["PenaltyProblem", "PenaltySums"]


class PenaltyProblem(NamedTuple):
    """Penalties of the margin constraints of some samples. None of its tensors is changed."""

    logits: Tensor
    """(N, K, ...) floating, of any strides."""
    multipliers: Tensor
    """(K,) lambda."""
    rho: Tensor
    """(K,)."""
    margin: float
    """Largest admissible logit distance."""
    kind: str
    """Penalty function."""
    mask: Tensor | None
    """(N, ...) bool of the samples that count. None: all."""


class PenaltySums(NamedTuple):
    """Floats, or tensors () on the device of the logits."""

    penalty: float | Tensor
    """Sum of the penalties over samples and classes."""
    violated: float | Tensor
    """Number of violated constraints."""
