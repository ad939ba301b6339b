"""The threshold that separates certain from uncertain samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cals_mm.functional._samples import as_samples
from cals_mm.functional._summaries import summarise

from ._reduce import sum_over_processes_
from ._wide_buffers import state_dtype
from .dual_statistics import NonFiniteLogitsError
from .learned_state import LearnedState

__all__ = ["UncertaintyStatistics", "UncertaintyThreshold"]


class UncertaintyStatistics:
    """Numbers and summed entropies of the wrong and the correct predictions of one validation.

    Example:
        >>> import torch
        >>> statistics = UncertaintyStatistics()
        >>> statistics.update(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), target=torch.tensor([1, 0]))
        >>> statistics.number.tolist(), statistics.sum_entropy.round(decimals=2).tolist()
        ([1, 1], [0.0, 0.69])
    """

    def __init__(self) -> None:
        self.number = torch.zeros(2, dtype=torch.int64)
        """Number of wrong and of correct predictions."""
        self.sum_entropy = torch.zeros(2, dtype=torch.float64)
        """Summed entropy of each, in nats."""

    @property
    def count(self) -> Tensor:
        """Number of samples, () int64."""
        return self.number.sum()

    @torch.no_grad()
    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            logits: (N, K) or (N, K, ...), any floating dtype.
            mask: (N, ...) bool, true for valid samples. None means all.
            target: Labels (N, ...) int64; required.

        Raises:
            ValueError: If labels are missing or shapes do not fit.
            NonFiniteLogitsError: If a logit of a valid sample is NaN or infinite. The sums then
                stay unchanged.
        """
        if target is None:
            raise ValueError("right and wrong predictions need labels: pass target")
        target = target if mask is None else target.long().masked_fill(~mask, -1)
        samples = as_samples(logits.detach(), target, None if mask is None else -1)
        summaries = summarise(*samples, confidence=True, entropy=True)
        entropy, correct = summaries.entropy, summaries.correct
        assert entropy is not None and correct is not None
        for group, chosen in enumerate((~correct, correct)):
            chosen = chosen if samples.valid is None else chosen & samples.valid
            values = entropy[chosen]
            if not values.isfinite().all():
                raise NonFiniteLogitsError()
            self.number[group] += len(values)
            self.sum_entropy[group] += values.sum(dtype=torch.float64).cpu()

    def reset_(self) -> None:
        """Forget all samples."""
        self.number.zero_()
        self.sum_entropy.zero_()

    def all_reduce_(self) -> UncertaintyStatistics:
        """Add up the sums of all processes; no-op without a process group."""
        sum_over_processes_((self.number, self.sum_entropy))
        return self


class UncertaintyThreshold(LearnedState):
    r"""Threshold of AvUC, half-way between the entropies of correct and wrong predictions.

    The update after each of the first validations, with entropies u in nats, is

    .. math:: u_{th} \leftarrow \tfrac12 (mean_{right}\, u + mean_{wrong}\, u).

    Afterwards the threshold stays fixed. A validation without correct or without wrong predictions
    changes nothing.

    Args:
        threshold: Initial threshold, in nats, >= 0.
        num_validations: Number of validations that update it.

    Attributes:
        threshold: () float, in nats.
        num_updates: Number of validations so far, () int64.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Krishnan and Tickoo, Improving Model Calibration with Accuracy versus Uncertainty
        Optimization, NeurIPS 2020 (arXiv 2012.07923), Section 3.

    Example:
        >>> import torch
        >>> state = UncertaintyThreshold()
        >>> statistics = state.start_dual_epoch()
        >>> statistics.update(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), target=torch.tensor([0, 1]))
        >>> state.step_(statistics)
        >>> print(f"{state.threshold:.3f}")
        0.347
    """

    learned = "threshold"

    threshold: Tensor

    def __init__(self, threshold: float = 1.0, num_validations: int = 3) -> None:
        super().__init__()
        if not isinstance(num_validations, int) or num_validations < 0:
            raise ValueError(f"num_validations must be a whole number, got {num_validations!r}")
        self.num_validations = num_validations
        self.register_buffer("threshold", torch.tensor(threshold, dtype=state_dtype()))

    def start_dual_epoch(self) -> Any:
        """Create :class:`UncertaintyStatistics` for one validation."""
        return UncertaintyStatistics()

    def _update_(self, statistics: UncertaintyStatistics, validation: int) -> None:
        if validation <= self.num_validations and bool((statistics.number > 0).all()):
            self.threshold.copy_((statistics.sum_entropy / statistics.number).mean())

    def curves(self) -> dict[str, Tensor]:
        """The threshold, ()."""
        return {"threshold": self.threshold}
