"""The gamma of a focal loss, learned for each confidence bin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._wide_buffers import state_dtype
from .confidence_statistics import ConfidenceStatistics
from .learned_state import LearnedState

__all__ = ["AdaptiveFocus"]


class AdaptiveFocus(LearnedState):
    r"""Gammas of AdaFocal, one for each bin of equally many validation samples.

    After every validation, with mean confidence C and accuracy A of each bin b, the update is

    .. math::
        \gamma_b \leftarrow \gamma_b\, e^{\pm r (C_b - A_b)},
        \quad\text{+ where } \gamma_b > 0 \text{, else -.}

    A gamma that comes closer to 0 than the threshold jumps to the threshold of the other sign: from
    focal to inverse focal loss in an under-confident bin, and back in an over-confident one. All
    others are clipped to the bounds. Then the bin edges of this validation are adopted, and
    training samples are assigned to bins by the probability of their label. Gammas are matched to
    bins by rank: gamma b was learned on the b-th bin of the previous validation.

    All state is in buffers, so checkpoints contain it.

    Args:
        num_bins: Number of bins.
        rate: r >= 0, how fast gamma follows the difference between confidence and accuracy.
        gamma_init: Initial gamma of each bin, not closer to 0 than the threshold.
        gamma_min: Smallest gamma, <= -threshold.
        gamma_max: Largest gamma, >= threshold.
        threshold: Absolute value below which gamma changes sign, > 0.

    Attributes:
        gamma: (bins,) float.
        edges: Confidences between the bins, (bins - 1,) float, initially equally spaced.
        num_updates: Number of validations so far, () int64.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Ghosh, Schaaf and Gormley, AdaFocal: Calibration-aware Adaptive Focal Loss, NeurIPS 2022
        (arXiv 2211.11838), Section 5 and Algorithm 1.

    Example:
        >>> import torch
        >>> focus = AdaptiveFocus(num_bins=1)
        >>> statistics = focus.start_dual_epoch()
        >>> statistics.update(torch.tensor([[0.0, 0.0]]), target=torch.tensor([1]))
        >>> focus.step_(statistics)
        >>> print(f"{focus.gamma.item():.4f}")  # exp(0.5 - 0)
        1.6487
    """

    learned = "gammas"

    gamma: Tensor
    edges: Tensor

    def __init__(
        self,
        num_bins: int = 15,
        rate: float = 1.0,
        gamma_init: float = 1.0,
        gamma_min: float = -2.0,
        gamma_max: float = 20.0,
        threshold: float = 0.2,
    ) -> None:
        super().__init__()
        if isinstance(num_bins, bool) or not isinstance(num_bins, int) or num_bins < 1:
            raise ValueError(f"num_bins must be a whole number of at least 1, got {num_bins!r}")
        if not 0 <= rate < float("inf"):
            raise ValueError(f"rate must be a finite number >= 0, got {rate}")
        if not 0 < threshold <= min(gamma_max, -gamma_min) < float("inf"):
            raise ValueError(
                "need gamma_min <= -threshold < 0 < threshold <= gamma_max, got gamma_min "
                f"{gamma_min}, threshold {threshold} and gamma_max {gamma_max}"
            )
        if not (gamma_min <= gamma_init <= gamma_max and abs(gamma_init) >= threshold):
            raise ValueError(
                f"gamma_init must be in [{gamma_min}, {gamma_max}] and at least {threshold} from "
                f"0, got {gamma_init}"
            )
        self.num_bins = num_bins
        self.rate = rate
        self.gamma_min = gamma_min
        self.gamma_max = gamma_max
        self.threshold = threshold
        dtype = state_dtype()
        self.register_buffer("gamma", torch.full((num_bins,), float(gamma_init), dtype=dtype))
        self.register_buffer("edges", torch.arange(1, num_bins, dtype=dtype) / num_bins)

    def of(self, probability: Tensor) -> Tensor:
        """Look up the gamma of each sample by the probability of its label.

        Args:
            probability: Any shape, floating. A bin includes its lower edge.

        Returns:
            Tensor of the shape and dtype of ``probability``.
        """
        edges = self.edges.to(probability.dtype)
        return self.gamma.to(probability.dtype)[torch.bucketize(probability, edges, right=True)]

    def start_dual_epoch(self) -> ConfidenceStatistics:
        """Create the statistics for one validation."""
        return ConfidenceStatistics()

    def _update_(self, statistics: ConfidenceStatistics, validation: int) -> None:
        """Update gammas, then bins; a bin without samples keeps its gamma."""
        bins = statistics.bins(self.num_bins)
        gap = torch.where(bins.samples > 0, bins.confidence - bins.accuracy, 0)
        gamma = self.gamma.double().cpu()
        moved = gamma * (self.rate * gamma.sign() * gap).exp()
        turned = -gamma.sign() * self.threshold
        moved = torch.where(
            moved.abs() < self.threshold, turned, moved.clamp(self.gamma_min, self.gamma_max)
        )
        self.gamma.copy_(moved)
        self.edges.copy_(bins.edges)

    def curves(self) -> dict[str, Tensor]:
        """Gammas, (bins,), and the confidences between the bins, (bins - 1,)."""
        return {"gamma": self.gamma, "edge": self.edges}

    def entry_names(self, curve: str) -> Sequence[str]:
        """Bin numbers in order of confidence; an edge has the number of the bin above it."""
        first = 1 if curve == "edge" else 0
        return [f"bin {number}" for number in range(first, self.num_bins)]

    def extra_repr(self) -> str:
        """Arguments shown by ``print``."""
        return f"num_bins={self.num_bins}, rate={self.rate}"
