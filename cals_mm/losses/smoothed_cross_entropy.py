"""Cross entropy with label smoothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import as_samples
from cals_mm.functional.cals_loss import cals_loss
from cals_mm.functional.penalty import penalty_lagrangian
from cals_mm.functional.violation import margin_violation

from ._arguments import class_weight_tensor
from .framework_loss import FrameworkLoss, LossCall, ResizedCall
from .resized import parts_of

__all__ = ["SmoothedCrossEntropyLoss"]


@MODELS.register_module()
class SmoothedCrossEntropyLoss(FrameworkLoss):
    r"""Cross entropy with label smoothing; plain cross entropy for ``label_smoothing=0``.

    .. math:: L = -\sum_k \left((1 - \alpha) y_k + \alpha / K\right) \log p_k

    Args:
        label_smoothing: Fraction alpha in [0, 1].
        class_weight: K weights of the cross entropy; the mean divides by their sum over the
            targets, as in ``torch.nn.functional.cross_entropy``.
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016,
        Section 7; alpha = 0.05 in the comparison of Liu et al., CVPR 2023.

    Example:
        >>> import torch
        >>> loss = SmoothedCrossEntropyLoss(label_smoothing=0.05)
        >>> loss(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor(1.3863)
    """

    def __init__(
        self,
        label_smoothing: float = 0.05,
        class_weight: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_smoothed_ce",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}")
        self.label_smoothing = label_smoothing
        self.class_weight: Tensor | None
        self.register_buffer("class_weight", class_weight_tensor(class_weight), persistent=False)
        self.margin = 1.0
        self.penalty_weight = 0.0

    def mean_loss(self, call: LossCall) -> Tensor:
        """Scalar loss of a batch."""
        self._check_class_weight(call.logits)
        loss = cals_loss(
            call.logits,
            call.target,
            *self._multipliers_and_rho(call.logits),
            self.margin,
            kind="relu",
            ignore_index=call.ignore_index,
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
            sample_weight=call.weight,
            avg_factor=call.avg_factor,
        )
        assert isinstance(loss, Tensor)
        return loss

    @property
    def resizes(self) -> bool:
        """Whether :meth:`resized` computes the loss as configured: always."""
        return True

    def resized(self, call: ResizedCall) -> tuple[Tensor, Tensor]:
        """Loss () of the logits resized to the labels, and accuracy ()."""
        self._check_class_weight(call.logits)
        loss, parts = parts_of(
            call,
            *self._multipliers_and_rho(call.logits),
            self.margin,
            kind="relu",
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
        )
        return self.loss_weight * loss, parts.accuracy

    def each_loss(self, call: LossCall) -> Tensor:
        """Loss of each sample, of the labels' shape, 0 where a sample is not valid."""
        self._check_class_weight(call.logits)
        samples = as_samples(call.logits, call.target, call.ignore_index)
        entropy = F.cross_entropy(
            samples.logits,
            samples.target,
            None if self.class_weight is None else self.class_weight.to(samples.logits.dtype),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        violation = margin_violation(samples.logits, self.margin)
        multipliers, rho = self._multipliers_and_rho(samples.logits)
        penalty, _ = penalty_lagrangian(violation, multipliers, rho, "relu", dim=1)
        return samples.keep(entropy, call.weight) + samples.keep(penalty.mean(1))

    def _check_class_weight(self, logits: Tensor) -> None:
        if self.class_weight is not None and logits.shape[1:2] != self.class_weight.shape:
            raise ValueError(
                f"class_weight has {len(self.class_weight)} values but the logits have shape "
                f"{tuple(logits.shape)}: give one for each of the {logits.shape[1]} classes"
            )

    def _multipliers_and_rho(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Values for which the 'relu' penalty equals weight * max(0, d - m)."""
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        ones = torch.ones(logits.shape[1], dtype=dtype, device=logits.device)
        return ones * (self.penalty_weight * self.margin), ones
