"""CALS with a multiplier for each training sample and class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, SampleMultipliers, SampleStatistics
from cals_mm.functional._samples import Samples
from cals_mm.functional.cals_loss import LossParts, check_class_reduction
from cals_mm.functional.penalty import penalty_lagrangian

from ._arguments import check_settings, takes_settings_of
from .per_sample_loss import PerSampleLoss
from .stateful_loss import StatefulLoss

__all__ = ["SampleCALSLoss"]


@MODELS.register_module()
@takes_settings_of(AugmentedLagrangian, "num_classes", "margin")
class SampleCALSLoss(StatefulLoss, PerSampleLoss):
    r"""Cross entropy plus the margin penalty with multipliers per sample, for classification.

    .. math:: L = \frac{1}{|V|} \sum_{i \in V} CE(z_i, y_i)
              + \frac{w}{|V| K} \sum_{i \in V}\sum_k P(h_k(z_i); \lambda_{ik}, \rho_k)

    This is an ablation of CALS: each training sample and class has its own multiplier, learned from
    that sample rather than from validation data. The multipliers are an N x K buffer of
    ``self.lagrangian`` (see :class:`~cals_mm.core.SampleMultipliers` for the memory it takes).
    ``SampleMultiplierHook`` tells the loss which samples a batch holds, and updates the multipliers
    after every epoch. Without the hook, call :meth:`start_batch` before each step.

    A separate rho for each class is our choice: the authors' code has one for all.

    In evaluation mode, the multipliers are averaged over samples.

    Args:
        num_classes: K, the number of output channels.
        num_samples: N, the size of the training set.
        margin: Largest admissible logit distance, in logit units.
        penalty_weight: Factor w of the penalty.
        class_reduction: 'mean' over classes, as above, or 'sum', K times stronger.
        loss_weight: Factor of the whole loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
        settings: ``penalty``, ``lambda_min`` and further arguments of
            :class:`~cals_mm.core.AugmentedLagrangian`; intervals count epochs here.

    Raises:
        ValueError: For an invalid argument.
        TypeError: For an unknown argument.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088), Section 3.

    Example:
        >>> import torch
        >>> loss = SampleCALSLoss(num_classes=3, num_samples=100, margin=5.0)
        >>> loss.start_batch([17, 4])
        >>> loss(torch.zeros(2, 3), torch.tensor([0, 2])).shape
        torch.Size([])
    """

    lagrangian: SampleMultipliers
    soft_targets = False
    driven_by = "SampleMultiplierHook"

    def __init__(
        self,
        num_classes: int,
        num_samples: int,
        margin: float = 10.0,
        penalty_weight: float = 1.0,
        class_reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_cals",
        **settings: Any,
    ) -> None:
        check_settings(SampleCALSLoss, settings)
        state = SampleMultipliers(num_samples, num_classes, margin=margin, **settings)
        super().__init__(state, "lagrangian", loss_weight, ignore_index, loss_name)
        self.penalty_weight = penalty_weight
        self.class_reduction = check_class_reduction(class_reduction)
        self._index: Tensor | None = None
        self._counts: Tensor | None = None
        self._statistics: SampleStatistics | None = None

    def start_batch(
        self,
        index: Sequence[int] | Tensor,
        statistics: SampleStatistics | None = None,
        counts: Sequence[bool] | None = None,
    ) -> None:
        """Set which samples the next batch holds.

        Args:
            index: Indices of the samples in the training set, (B,).
            statistics: Records the violations of the samples. None records nothing.
            counts: Whether to record each sample, (B,); false for a sampler's repetitions. None
                records all.

        Raises:
            ValueError: If an index is out of range.
        """
        index = torch.as_tensor(index, dtype=torch.int64)
        size = self.lagrangian.num_samples
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < size:
            wrong = int(index[(index < 0) | (index >= size)][0])
            raise ValueError(
                f"sample {wrong} is outside 0..{size - 1}: num_samples must be the size of the "
                f"training set, it is {size}"
            )
        self._index, self._statistics = index, statistics
        self._counts = None if counts is None else torch.as_tensor(counts, dtype=torch.bool)

    def end_batch(self) -> None:
        """Forget which samples the batch held."""
        self._index = self._counts = self._statistics = None

    def sample_loss(self, samples: Samples) -> Tensor:
        """Cross entropy of each sample."""
        return F.cross_entropy(samples.logits, samples.target, reduction="none")

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Mean cross entropy plus the weighted penalty."""
        lagrangian = self.lagrangian
        self._check_shape(samples.logits)
        multipliers, rho = self._coefficients(len(samples.logits))
        violation = lagrangian.violation(samples.logits)
        values, _ = penalty_lagrangian(
            violation,
            multipliers.to(violation.device),
            rho.to(violation.device),
            lagrangian.penalty_kind,
            dim=1,
        )
        values = values.sum(1) if self.class_reduction == "sum" else values.mean(1)
        entropy = samples.mean(self.sample_loss(samples), weight, avg_factor)
        penalty = samples.mean(values)
        if self.training:
            violated = samples.mean((violation.detach() > 0).to(values.dtype).mean(1))
            self.last_parts = LossParts(entropy.detach(), penalty.detach(), violated)
            self._note(violation.detach(), samples.valid)
        return entropy + self.penalty_weight * penalty

    def _coefficients(self, size: int) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.lagrangian.coefficients()
        if self._index is None:
            raise ValueError(
                "SampleCALSLoss is trained, but nobody tells it which samples a batch holds: add "
                f"dict(type='{self.driven_by}') to custom_hooks, or call start_batch before each "
                "step"
            )
        if len(self._index) != size:
            raise ValueError(
                f"the batch has {size} logits for {len(self._index)} sample numbers: leave out "
                "what changes the number of samples in a batch, or use CALSLoss"
            )
        multipliers = self.lagrangian.multipliers
        return multipliers[self._index.to(multipliers.device)], self.lagrangian.rho

    def _check_shape(self, logits: Tensor) -> None:
        if logits.ndim != 2:
            raise ValueError(
                f"logits of shape {tuple(logits.shape)} would need multipliers for each pixel of "
                "the training set: SampleCALSLoss is for classification, use CALSLoss"
            )
        if logits.shape[1] != self.lagrangian.num_classes:
            raise ValueError(
                f"logits have {logits.shape[1]} classes, but num_classes is "
                f"{self.lagrangian.num_classes}; set num_classes={logits.shape[1]}"
            )

    def _note(self, violation: Tensor, valid: Tensor | None) -> None:
        if self._statistics is None:
            return
        assert self._index is not None
        keep = torch.ones_like(self._index, dtype=torch.bool)
        if self._counts is not None:
            keep &= self._counts.to(keep.device)
        if valid is not None:
            keep &= valid.to(keep.device)
        self._statistics.update(self._index[keep], violation[keep.to(violation.device)])
