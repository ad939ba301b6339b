"""CALS as a loss of mmsegmentation and mmpretrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import AugmentedLagrangian, DualStatistics, MarginRule
from cals_mm.functional.cals_loss import LossParts, cals_loss, check_class_reduction

from ._rules import build_rule
from ._validated import ValidatedLoss

__all__ = ["CALSLoss"]


@MODELS.register_module()
class CALSLoss(ValidatedLoss):
    """Cross entropy, or a loss of the user's, plus the class-adaptive margin penalty.

    The multipliers are buffers of ``self.rule``, in checkpoints under ``lagrangian``, or
    ``heuristic`` for that rule; ``CALSMultiplierHook`` updates them after every validation.

    Args:
        num_classes: K, the number of output channels.
        margin: Largest admissible logit distance, in logit units.
        penalty: 'phr', 'p2', 'p3' or 'relu'.
        lambda_min: Smallest and first multiplier.
        lambda_max: Largest multiplier.
        lambda_interval: Multipliers change at every so many validations.
        rho_init: First rho.
        rho_max: Largest rho.
        rho_interval: Rho may grow at every so many validations.
        growth_factor: Factor by which rho grows.
        violation_tolerance: Rho grows where the mean violation exceeds this share of the one
            before.
        base_loss: Config of the loss that the penalty is added to, called as the framework would
            call it. None: cross entropy, fused with the penalty.
        loss_weight: Factor of the whole loss.
        penalty_weight: Factor of the penalty.
        class_reduction: 'mean' over classes, as the authors' code, where the pressure per class
            falls as 1/K; or 'sum', K times stronger.
        class_weight: K weights of the cross entropy.
        label_smoothing: Fraction in [0, 1] for the cross entropy.
        ignore_index: Label that counts for nothing, unless the head passes its own. None:
            constrain ignored pixels too, as the authors' code does; the cross entropy still
            leaves out what the head ignores.
        loss_name: Name in the log; it must contain 'loss' to be optimised.
        rule: 'augmented_lagrangian', or 'heuristic' (CALS-HR), for which the arguments from
            ``penalty`` to ``violation_tolerance`` are refused; ``dict(type='heuristic', ...)``
            takes options of :class:`~cals_mm.core.HeuristicRule`.
        adaptive_margin: Options of :class:`~cals_mm.core.AdaptiveMargin`, ``dict()`` for its
            defaults: ``margin`` is then the first margin. None: a fixed margin.

    Raises:
        ValueError: For an argument out of its range.
        TypeError: For an option that the rule or the adaptive margin does not have.

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
        margin: float = 10.0,
        penalty: str = "phr",
        lambda_min: float = 1e-6,
        lambda_max: float = 1e6,
        lambda_interval: int = 1,
        rho_init: float = 1.0,
        rho_max: float = 10.0,
        rho_interval: int = 10,
        growth_factor: float = 1.2,
        violation_tolerance: float = 0.9,
        base_loss: dict | None = None,
        loss_weight: float = 1.0,
        penalty_weight: float = 1.0,
        class_reduction: str = "mean",
        class_weight: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_cals",
        rule: str | Mapping[str, Any] = "augmented_lagrangian",
        adaptive_margin: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(ignore_index)
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
        options = {
            "penalty": penalty,
            "lambda_min": lambda_min,
            "lambda_max": lambda_max,
            "lambda_interval": lambda_interval,
            "rho_init": rho_init,
            "rho_max": rho_max,
            "rho_interval": rho_interval,
            "growth_factor": growth_factor,
            "violation_tolerance": violation_tolerance,
        }
        built = build_rule(rule, num_classes, margin, adaptive_margin, options)
        self._rule = "lagrangian" if isinstance(built, AugmentedLagrangian) else "heuristic"
        self.add_module(self._rule, built)
        self.base_loss = None if base_loss is None else MODELS.build(base_loss)
        self.loss_weight = loss_weight
        self.penalty_weight = penalty_weight
        self.class_reduction = check_class_reduction(class_reduction)
        self.label_smoothing = label_smoothing
        self.loss_name = loss_name
        self.class_weight: Tensor | None
        weight = None if class_weight is None else torch.tensor(class_weight, dtype=torch.float)
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Loss of a batch, by the calling conventions of both frameworks.

        Args:
            logits: (N, K) or (N, K, H, W) floating.
            target: Labels (N,), (N, H, W) int64, or class probabilities of the logits' shape.
            weight: Weights of the cross entropy, of the labels' shape.
            avg_factor: Divisor of the summed cross entropy.
            reduction_override: 'mean' or None; 'none' gives the base loss or cross entropy of
                each sample, without penalty, by which samplers choose the hard ones.
            ignore_index: The head's ignored label, in place of the constructor's.
            kwargs: Handed to ``base_loss``; an error without one.

        Returns:
            Scalar, or with 'none' of the labels' shape.

        Raises:
            ValueError: If shapes or labels do not fit, naming the value and the cure.
        """
        if reduction_override not in (None, "mean", "none"):
            raise ValueError(
                f"reduction_override={reduction_override!r}: CALSLoss has 'mean', and 'none' for "
                "pixel samplers"
            )
        if reduction_override == "none":
            return self._ranking(logits, target, ignore_index, **kwargs)
        self.require_hook()
        ignored = self.ignore_index if ignore_index is None else ignore_index
        if self.base_loss is None and kwargs:
            raise TypeError(f"CALSLoss got unknown arguments {sorted(kwargs)}")
        if self.base_loss is None and self.ignore_index is not None:
            loss, parts = self._fused(logits, target, weight, avg_factor, ignored)
        else:
            if self.base_loss is None:
                base, _ = self._fused(
                    logits, target, weight, avg_factor, ignored, penalty_weight=0.0
                )
            else:
                given = {"weight": weight, "avg_factor": avg_factor, "ignore_index": ignore_index}
                kwargs.update({k: v for k, v in given.items() if v is not None})
                base = self.base_loss(logits, target, **kwargs)
            loss, parts = self._add_penalty(base, logits, target, ignored)
        self.last_parts = parts if self.training else None
        return loss if self.loss_weight == 1 else self.loss_weight * loss

    @property
    def rule(self) -> MarginRule:
        """What holds the multipliers and moves them."""
        return cast(MarginRule, self.get_submodule(self._rule))

    def start_dual_epoch(self) -> DualStatistics:
        """Statistics for one validation, under the present state."""
        statistics: DualStatistics = self.rule.start_dual_epoch()
        return statistics

    def step_(self, statistics: DualStatistics) -> None:
        """Update the multipliers, and what else the rule moves, in place."""
        self.rule.step_(statistics)

    def curves(self) -> dict[str, Tensor]:
        """Multipliers (K,), then what else moves: rho (K,), the margin ()."""
        return self.rule.curves()

    def _ranking(
        self, logits: Tensor, target: Tensor, ignore_index: int | None, **kwargs: Any
    ) -> Tensor:
        ignored = self.ignore_index if ignore_index is None else ignore_index
        if self.base_loss is not None:
            if ignore_index is not None:
                kwargs["ignore_index"] = ignore_index
            return self.base_loss(logits, target, reduction_override="none", **kwargs)
        return F.cross_entropy(
            logits.float(),
            target,
            self.class_weight,
            ignore_index=-100 if ignored is None else ignored,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def _fused(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        ignore_index: int | None,
        penalty_weight: float | None = None,
    ) -> tuple[Tensor, LossParts]:
        loss = cals_loss(
            logits,
            target,
            *self.rule.coefficients(),
            self.rule.margin,
            kind=self.rule.penalty_kind,
            ignore_index=ignore_index,
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
            class_reduction=self.class_reduction,
            penalty_weight=self.penalty_weight if penalty_weight is None else penalty_weight,
            sample_weight=weight,
            avg_factor=avg_factor,
            return_parts=True,
        )
        assert isinstance(loss, tuple)
        return loss

    def _add_penalty(
        self, base: Tensor, logits: Tensor, target: Tensor, ignore_index: int | None
    ) -> tuple[Tensor, LossParts]:
        if self.ignore_index is None:  # every pixel is constrained, whatever its label
            target = target.new_zeros((logits.shape[0], *logits.shape[2:]), dtype=torch.int64)
        # An infinite divisor leaves nothing of the cross entropy.
        penalty, parts = self._fused(logits, target, None, float("inf"), ignore_index)
        return base + penalty, parts._replace(cross_entropy=base.detach())
