"""CALS as a loss for mmsegmentation and mmpretrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, MarginRule
from cals_mm.frameworks.cross_entropy import entropy_arguments, is_softmax_entropy
from cals_mm.functional.cals_loss import LossParts, cals_loss, check_class_reduction
from cals_mm.functional.margin_penalty import penalty_and_share

from ._arguments import check_settings, class_weight_tensor, takes_settings_of
from ._rules import build_rule
from .framework_loss import LossCall, ResizedCall
from .resized import parts_of
from .stateful_loss import StatefulLoss

__all__ = ["CALSLoss"]


@MODELS.register_module()
@takes_settings_of(AugmentedLagrangian, "num_classes", "margin")
class CALSLoss(StatefulLoss):
    """Cross entropy or another base loss, plus the class-adaptive margin penalty.

    The multipliers are buffers of ``self.rule``, which checkpoints store as ``lagrangian``, or as
    ``heuristic`` for that rule. ``CALSMultiplierHook`` updates them after every validation.

    Args:
        num_classes: K, the number of output channels.
        margin: Largest admissible logit distance, in logit units; with 'auto' it starts at 10 and
            is adjusted during training, see :class:`~cals_mm.core.AutoMargin`.
        base_loss: Config of the loss that the penalty is added to; it is called as the framework
            would call it. None means cross entropy, fused with the penalty.
        loss_weight: Factor of the whole loss.
        penalty_weight: Factor of the penalty.
        class_reduction: 'mean' over classes, as in the authors' code, where the pressure on each
            class falls as 1/K; or 'sum', which is K times stronger.
        class_weight: K weights of the cross entropy.
        label_smoothing: Label smoothing of the cross entropy, a fraction in [0, 1].
        ignore_index: Label to ignore, unless the head passes its own. None also constrains ignored
            pixels, as the authors' code does; the cross entropy still ignores what the head
            ignores.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
        rule: 'augmented_lagrangian', or 'heuristic' (CALS-HR), for which ``settings`` are refused;
            ``dict(type='heuristic', ...)`` takes options of
            :class:`~cals_mm.core.HeuristicRule`.
        settings: ``penalty``, ``lambda_min``, ``lambda_max``, ``lambda_interval``, ``rho_init``,
            ``rho_max``, ``rho_interval``, ``growth_factor`` and ``violation_tolerance`` of
            :class:`~cals_mm.core.AugmentedLagrangian`.

    Raises:
        ValueError: For an invalid argument.
        TypeError: For an unknown argument or an option that the rule does not have.

    Reference:
        Liu et al., Class Adaptive Network Calibration, CVPR 2023 (arXiv 2211.15088).

    Example:
        >>> import torch
        >>> loss = CALSLoss(num_classes=3, margin=5.0)
        >>> loss(torch.zeros(2, 3), torch.tensor([0, 2])).shape
        torch.Size([])
    """

    lagrangian: AugmentedLagrangian

    def __init__(
        self,
        num_classes: int,
        margin: float | Literal["auto"] = 10.0,
        base_loss: dict[str, Any] | None = None,
        loss_weight: float = 1.0,
        penalty_weight: float = 1.0,
        class_reduction: str = "mean",
        class_weight: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_cals",
        rule: str | Mapping[str, Any] = "augmented_lagrangian",
        **settings: Any,
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}")
        if base_loss is not None and (class_weight is not None or label_smoothing):
            raise ValueError(
                "with a base_loss, give class_weight and label_smoothing to it instead"
            )
        if class_weight is not None and len(class_weight) != num_classes:
            raise ValueError(
                f"class_weight has {len(class_weight)} values for {num_classes} classes"
            )
        if "adaptive_margin" in settings:
            raise TypeError(
                "adaptive_margin has given way to margin='auto', which has no options: set margin "
                "to 'auto' and remove adaptive_margin"
            )
        check_settings(CALSLoss, settings)
        state = build_rule(rule, num_classes, margin, settings)
        key = "lagrangian" if isinstance(state, AugmentedLagrangian) else "heuristic"
        super().__init__(state, key, loss_weight, ignore_index, loss_name)
        self.base_loss = None if base_loss is None else MODELS.build(base_loss)
        self.penalty_weight = penalty_weight
        self.class_reduction = check_class_reduction(class_reduction)
        self.label_smoothing = label_smoothing
        self.class_weight: Tensor | None
        self.register_buffer("class_weight", class_weight_tensor(class_weight), persistent=False)

    @property
    def rule(self) -> MarginRule:
        """The rule that holds and updates the multipliers."""
        return cast(MarginRule, self.state)

    @property
    def takes_extra(self) -> bool:
        """Whether there is a base loss, which receives further arguments."""
        return self.base_loss is not None

    def mean_loss(self, call: LossCall) -> Tensor:
        """Mean cross entropy or base loss, plus the weighted penalty."""
        self.require_hook()
        if self.base_loss is not None:
            base = self.base_loss(call.logits, call.target, **call.given)
            loss, parts = self._add_penalty(base, call)
        elif self.ignore_index is None:
            base, _ = self._fused(call, penalty_weight=0.0)
            loss, parts = self._add_penalty(base, call)
        else:
            loss, parts = self._fused(call, self.penalty_weight)
        self.last_parts = parts if self.training else None
        return loss

    @property
    def resizes(self) -> bool:
        """Whether :meth:`resized` computes the loss as configured.

        It does not if the base loss is anything but plain cross entropy, or if ignored pixels are
        constrained too.
        """
        base: Any = self.base_loss
        plain = base is None or (is_softmax_entropy(base) and base.loss_weight > 0)
        return plain and self.ignore_index is not None

    def resized(self, call: ResizedCall) -> tuple[Tensor, Tensor]:
        """Loss () of the logits resized to the labels, and accuracy ()."""
        self.require_hook()
        base: Any = self.base_loss
        scale = 1.0 if base is None else float(base.loss_weight)
        options: dict[str, Any] = {
            "class_weight": self.class_weight,
            "label_smoothing": self.label_smoothing,
        }
        if base is not None:
            options = entropy_arguments(base, call.logits, call.target)
        loss, parts = parts_of(
            call,
            *self.rule.coefficients(),
            self.rule.margin,
            kind=self.rule.penalty_kind,
            class_reduction=self.class_reduction,
            # The weight of the base loss applies to the cross entropy only.
            penalty_weight=self.penalty_weight / scale,
            **options,
        )
        entropy, penalty, violated, accuracy = parts
        own = LossParts(scale * entropy, penalty, violated)
        self.last_parts = own if self.training else None
        return self.loss_weight * scale * loss, accuracy

    def each_loss(self, call: LossCall) -> Tensor:
        """Base loss or cross entropy of each sample, without the penalty."""
        if self.base_loss is not None:
            given = {k: v for k, v in call.given.items() if k not in ("weight", "avg_factor")}
            each: Tensor = self.base_loss(
                call.logits, call.target, reduction_override="none", **given
            )
            return each
        return F.cross_entropy(
            call.logits.float(),
            call.target,
            self.class_weight,
            ignore_index=-100 if call.ignore_index is None else call.ignore_index,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def _fused(self, call: LossCall, penalty_weight: float) -> tuple[Tensor, LossParts]:
        loss = cals_loss(
            call.logits,
            call.target,
            *self.rule.coefficients(),
            self.rule.margin,
            kind=self.rule.penalty_kind,
            ignore_index=call.ignore_index,
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
            class_reduction=self.class_reduction,
            penalty_weight=penalty_weight,
            sample_weight=call.weight,
            avg_factor=call.avg_factor,
            return_parts=True,
        )
        assert isinstance(loss, tuple)
        return loss

    def _add_penalty(self, base: Tensor, call: LossCall) -> tuple[Tensor, LossParts]:
        # With ``ignore_index=None`` every pixel is constrained, whatever its label.
        ignored = None if self.ignore_index is None else call.ignore_index
        soft = call.target.is_floating_point()
        penalty, violated = penalty_and_share(
            call.logits,
            *self.rule.coefficients(),
            self.rule.margin,
            kind=self.rule.penalty_kind,
            mask=None if ignored is None or soft else call.target.ne(ignored),
        )
        if self.class_reduction == "sum":
            penalty = penalty * call.logits.shape[1]
        parts = LossParts(base.detach(), penalty.detach(), violated)
        return base + self.penalty_weight * penalty, parts
