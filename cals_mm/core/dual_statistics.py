"""Sums over one validation, from which the multipliers are updated."""

from __future__ import annotations

import torch
from torch import Tensor

from cals_mm.functional._dual import dual_sums
from cals_mm.functional._prediction_sums import DualSums
from cals_mm.functional.penalty import check_penalty

from ._reduce import sum_over_processes_
from ._wide_buffers import widened

__all__ = ["DualStatistics", "NonFiniteLogitsError"]


class NonFiniteLogitsError(ValueError):
    """A logit that would enter the dual step is NaN or infinite."""

    def __init__(self) -> None:
        super().__init__(
            "validation logits hold NaN or Inf: look for a diverged loss (lower the learning rate, "
            "clip gradients) or an overflow of half precision"
        )


class DualStatistics:
    """Sums of violations and penalty derivatives over the samples of one validation.

    Multipliers and rho are copied on construction, so changes of the module's buffers during the
    validation, e.g. by a hook that swaps in averaged weights, do not affect the sums. Created by
    :meth:`AugmentedLagrangian.start_dual_epoch`.

    Args:
        multipliers: Lagrange multipliers, (K,).
        rho: Penalty coefficients, (K,).
        margin: Largest admissible logit distance, in logit units.
        penalty: Penalty function.
        lambda_min: Lower clip of each derivative.
        lambda_max: Upper clip of each derivative.

    Example:
        >>> import torch
        >>> statistics = DualStatistics(torch.ones(2), torch.ones(2), margin=1.0)
        >>> statistics.update(torch.tensor([[3.0, 0.0], [0.0, 2.0]]))
        >>> int(statistics.count), statistics.mean_violation.tolist()
        (2, [0.0, 0.5])
    """

    def __init__(
        self,
        multipliers: Tensor,
        rho: Tensor,
        margin: float,
        penalty: str = "phr",
        lambda_min: float = 1e-6,
        lambda_max: float = 1e6,
    ) -> None:
        self.multipliers = widened(multipliers.detach().clone())
        self.rho = widened(rho.detach().clone())
        self.margin = margin
        self.penalty = check_penalty(penalty)
        self.lambda_min = lambda_min
        self.lambda_max = lambda_max
        # Metal has no float64, so the sums are kept on the CPU.
        device = "cpu" if multipliers.device.type == "mps" else multipliers.device
        shape = multipliers.shape
        self.count = torch.zeros((), dtype=torch.int64, device=device)
        self.sum_derivative = torch.zeros(shape, dtype=torch.float64, device=device)
        self.sum_violation = torch.zeros(shape, dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(
        self,
        logits: Tensor,
        mask: Tensor | None = None,
        target: Tensor | None = None,
        sums: DualSums | None = None,
    ) -> None:
        """Add a batch.

        Args:
            logits: (N, K) or (N, K, ...), any floating dtype.
            mask: (N, ...) bool, true for valid samples. None means all.
            target: Labels; not used, as the constraint does not depend on them.
            sums: Sums of this batch, if they are known.

        Raises:
            ValueError: If the number of classes or the mask does not fit.
            NonFiniteLogitsError: If a logit of a valid sample is NaN or infinite. The sums then
                stay unchanged.
        """
        num_classes = self.multipliers.numel()
        if logits.ndim < 2 or logits.shape[1] != num_classes:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)} but there are {num_classes} multipliers; "
                "set num_classes to the logits' number of channels"
            )
        if mask is not None and mask.shape != (logits.shape[0], *logits.shape[2:]):
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}, but logits of shape {tuple(logits.shape)} "
                f"need {(logits.shape[0], *logits.shape[2:])}"
            )
        count, derivative, violation = sums or dual_sums(
            logits,
            self.multipliers.to(logits.device),
            self.rho.to(logits.device),
            self.margin,
            kind=self.penalty,
            mask=mask,
            lambda_min=self.lambda_min,
            lambda_max=self.lambda_max,
        )
        if not torch.isfinite(violation).all():
            raise NonFiniteLogitsError()
        device = self.count.device
        self.count += count.to(device)
        self.sum_derivative += derivative.to(device)
        self.sum_violation += violation.to(device)

    def reset_(self) -> None:
        """Forget all samples; keep the frozen multipliers and rho."""
        for tensor in self._sums():
            tensor.zero_()

    def all_reduce_(self) -> DualStatistics:
        """Add up the sums of all processes; no-op without a process group.

        Sums are float64 and counts int64, so the result does not depend on the number of processes.
        """
        sum_over_processes_(self._sums())
        return self

    def _sums(self) -> tuple[Tensor, ...]:
        return self.count, self.sum_derivative, self.sum_violation

    @property
    def mean_derivative(self) -> Tensor:
        """Mean of the clipped penalty derivative per class, (K,) float64."""
        return self.sum_derivative / self.count.clamp(min=1)

    @property
    def mean_violation(self) -> Tensor:
        """Mean of the violation per class, (K,) float64."""
        return self.sum_violation / self.count.clamp(min=1)
