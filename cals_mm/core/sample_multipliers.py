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
    """Violations of the training samples, each as its last visit in one epoch left it.

    Between two processes, which may have visited a sample each, the mean counts.

    Made by :meth:`SampleMultipliers.start_dual_epoch`; what it holds has the size of the
    multipliers.

    Args:
        lagrangian: The multipliers that the epoch is trained with; they are read again when the
            epoch is over and must not change before.
    """

    def __init__(self, lagrangian: SampleMultipliers) -> None:
        self.lagrangian = lagrangian
        # Metal has no float64, which the mean violation is summed in.
        device = lagrangian.multipliers.device
        device = torch.device("cpu") if device.type == "mps" else device
        self.violation = torch.zeros_like(lagrangian.multipliers, device=device)
        """h of each sample, (N, K), 0 where it was not visited."""
        self.visits = torch.zeros(lagrangian.num_samples, dtype=torch.int64, device=device)
        """Number of processes that visited each sample, (N,)."""

    @property
    def count(self) -> Tensor:
        """Number of samples that were visited, () int64."""
        return (self.visits > 0).sum()

    @torch.no_grad()
    def update(self, index: Tensor, violation: Tensor) -> None:
        """Note a batch, in place of what is known of its samples.

        Args:
            index: Numbers of the samples, (B,) int64 in [0, N).
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
        """Put together what all processes know; without a process group nothing happens.

        What one process alone has seen stays as it is to the last bit.
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
        """P'(h) of each visited sample, and the multipliers of the others, (N, K)."""
        multipliers = self.lagrangian.multipliers.to(self.violation.device)
        rho = self.lagrangian.rho.to(self.violation.device)
        _, slope = penalty_lagrangian(
            self.violation, multipliers, rho, self.lagrangian.penalty_kind, dim=1
        )
        return torch.where(self.visits[:, None] > 0, slope, multipliers)


class SampleMultipliers(AugmentedLagrangian):
    r"""Augmented Lagrangian of margin constraints with multipliers of each training sample.

    After every epoch of training, with the violation :math:`h_{ik}` that sample i had when it was
    last visited, under the weights of that step:

    .. math:: \lambda_{ik} \leftarrow clip(P'(h_{ik}; \lambda_{ik}, \rho_k))

    Samples that no step has visited keep their multipliers. Rho is one for each class and grows as
    in :class:`AugmentedLagrangian`, by the mean violation of the visited samples.

    Memory: N K float32 in the module and in each checkpoint, as much again for the statistics of
    the epoch, and twice as much while :meth:`step_` runs. N K float32 are 1.1 MB for the 14,177
    posts and 20 classes of 20 Newsgroups, 20 MB for CIFAR-100 and 5.1 GB for ImageNet.

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
        ValueError: For an argument out of its range.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3:
        the constraints of each sample, whose multipliers CALS replaces by class-wise ones.

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
        """What samples outside the training set have: multipliers' means over samples, and rho."""
        return self.multipliers.mean(0), self.rho

    def curves(self) -> dict[str, Tensor]:
        """Means of the multipliers over samples, and rho, (K,) each."""
        mean, rho = self.coefficients()
        return {"lambda": mean, "rho": rho}

    def start_dual_epoch(self) -> Any:
        """:class:`SampleStatistics` for one epoch of training."""
        return SampleStatistics(self)

    def step_(self, statistics: SampleStatistics) -> None:
        """Update the multipliers, then rho, in place.

        Raises:
            ValueError: If a violation is NaN or infinite; the state then stays as it was.
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
