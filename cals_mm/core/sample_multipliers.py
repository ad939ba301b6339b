"""Lagrange multipliers for each training sample and class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cals_mm.functional.penalty import penalty_lagrangian

from ._reduce import sum_over_processes_
from .augmented_lagrangian import AugmentedLagrangian

__all__ = ["SampleMultipliers", "SampleStatistics"]


class SampleStatistics:
    """Violations of the training samples in one epoch, each from the last visit of the sample.

    If several processes visited a sample, their violations are averaged.

    Created by :meth:`SampleMultipliers.start_dual_epoch`; it takes as much memory as the
    multipliers.

    Args:
        lagrangian: The multipliers used in this epoch; they are read again at its end and must not
            change before.
    """

    def __init__(self, lagrangian: SampleMultipliers) -> None:
        self.lagrangian = lagrangian
        # Metal has no float64, which the mean violation needs.
        device = lagrangian.multipliers.device
        device = torch.device("cpu") if device.type == "mps" else device
        self.violation = torch.zeros_like(lagrangian.multipliers, device=device)
        """Violation h of each sample, (N, K), 0 if it was not visited."""
        self.visits = torch.zeros(lagrangian.num_samples, dtype=torch.int64, device=device)
        """Number of processes that visited each sample, (N,)."""

    @property
    def count(self) -> Tensor:
        """Number of visited samples, () int64."""
        return (self.visits > 0).sum()

    @torch.no_grad()
    def update(self, index: Tensor, violation: Tensor) -> None:
        """Record a batch, replacing earlier violations of its samples.

        Args:
            index: Indices of the samples, (B,) int64 in [0, N).
            violation: Their violations, (B, K).
        """
        index = index.to(self.visits.device)
        self.violation[index] = violation.detach().to(self.violation)
        self.visits[index] = 1

    def reset_(self) -> None:
        """Forget all samples."""
        self.violation.zero_()
        self.visits.zero_()

    def all_reduce_(self) -> SampleStatistics:
        """Combine the violations of all processes; no-op without a process group.

        Samples visited by a single process keep their violations bitwise.
        """
        sum_over_processes_((self.violation, self.visits))
        self.violation /= self.visits.clamp(min=1)[:, None]
        self.visits.clamp_(max=1)
        return self

    @property
    def mean_violation(self) -> Tensor:
        """Mean of the violation over the visited samples per class, (K,) float64."""
        return self.violation.sum(0, dtype=torch.float64) / self.count.clamp(min=1)

    @property
    def mean_derivative(self) -> Tensor:
        """P'(h) of the visited samples, and the multipliers of the others, (N, K)."""
        multipliers = self.lagrangian.multipliers.to(self.violation.device)
        rho = self.lagrangian.rho.to(self.violation.device)
        _, slope = penalty_lagrangian(
            self.violation, multipliers, rho, self.lagrangian.penalty_kind, dim=1
        )
        return torch.where(self.visits[:, None] > 0, slope, multipliers)


class SampleMultipliers(AugmentedLagrangian):
    r"""Augmented Lagrangian of margin constraints with multipliers for each training sample.

    The update after every training epoch, with the violation :math:`h_{ik}` of sample i at its last
    visit, is

    .. math:: \lambda_{ik} \leftarrow clip(P'(h_{ik}; \lambda_{ik}, \rho_k))

    Samples that were not visited keep their multipliers. Each class has one rho, which grows as in
    :class:`AugmentedLagrangian`, based on the mean violation of the visited samples.

    The module and each checkpoint hold N K float32 values, the statistics of an epoch as many, and
    :meth:`step_` temporarily needs twice as many. N K float32 values take 1.1 MB for 20 Newsgroups
    (14,177 posts and 20 classes), 20 MB for CIFAR-100 and 5.1 GB for ImageNet.

    Args:
        num_samples: N, the size of the training set.
        num_classes: K >= 2.
        settings: Further arguments of :class:`AugmentedLagrangian`; intervals count epochs.

    Attributes:
        multipliers: lambda, (N, K) float.
        rho: Penalty coefficients, (K,) float.
        previous_violation: Mean violation of the last epoch, (K,) float.
        num_updates: Number of epochs so far, () int64.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3: the
        constraints per sample, whose multipliers CALS replaces by class-wise ones.

    Example:
        >>> import torch
        >>> state = SampleMultipliers(num_samples=3, num_classes=2, margin=1.0)
        >>> statistics = state.start_dual_epoch()
        >>> statistics.update(torch.tensor([2]), state.violation(torch.tensor([[3.0, 0.0]])))
        >>> state.step_(statistics)
        >>> state.multipliers.round(decimals=3).tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, num_samples: int, num_classes: int, **settings: Any) -> None:
        super().__init__(num_classes, **settings)
        check_num_samples(num_samples)
        self.num_samples = num_samples
        self.register_buffer("multipliers", self.multipliers.expand(num_samples, -1).clone())

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """Multipliers averaged over samples, for data outside the training set, and rho."""
        return self.multipliers.mean(0), self.rho

    def curves(self) -> dict[str, Tensor]:
        """Means of the multipliers over samples, and rho, (K,) each."""
        mean, rho = self.coefficients()
        return {"lambda": mean, "rho": rho}

    def start_dual_epoch(self) -> Any:
        """Create :class:`SampleStatistics` for one training epoch."""
        return SampleStatistics(self)

    def step_(self, statistics: SampleStatistics) -> None:
        """Update the multipliers, then rho, in place.

        Raises:
            ValueError: If a violation is NaN or infinite; the state then stays unchanged.
        """
        finite = statistics.violation.isfinite().all(1)
        if not finite.all():
            raise ValueError(
                f"training logits of sample {int((~finite).nonzero()[0])} hold NaN or Inf: look "
                "for a diverged loss (lower the learning rate, clip gradients) or an overflow of "
                "half precision"
            )
        super().step_(statistics)


def check_num_samples(num_samples: int) -> None:
    """Raise ``ValueError`` unless it is a number of samples."""
    if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
        raise ValueError(
            f"num_samples must be the number of training samples, at least 1, got {num_samples!r}"
        )
