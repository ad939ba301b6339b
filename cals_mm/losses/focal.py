"""Focal loss and its sample-dependent form."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.functional._samples import Samples
from cals_mm.functional.focal import focal_loss

from ._arguments import check_not_negative
from .per_sample_loss import PerSampleLoss

__all__ = ["FLSDLoss", "SoftmaxFocalLoss"]


@MODELS.register_module()
class SoftmaxFocalLoss(PerSampleLoss):
    r"""Focal loss of a softmax over classes: the mean of :math:`-(1 - p_y)^\gamma \log p_y`.

    The frameworks' own ``FocalLoss`` is based on sigmoids. Targets must be labels.

    Args:
        gamma: Focus >= 0; 0 is cross entropy.
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, Equation 4; for calibration
        Mukhoti et al., NeurIPS 2020 (arXiv 2002.09437).

    Example:
        >>> import torch
        >>> SoftmaxFocalLoss(gamma=1.0)(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.3466)
    """

    soft_targets = False

    def __init__(
        self,
        gamma: float = 3.0,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_focal",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.gamma = check_not_negative("gamma", gamma)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Focal loss of each sample."""
        return focal_loss(samples.logits, samples.target, self.gamma)


@MODELS.register_module()
class FLSDLoss(PerSampleLoss):
    r"""Focal loss with a sample-dependent gamma; the default is FLSD-53.

    Gamma depends on the probability of the label, through which no gradient flows: it is
    ``gammas[i]`` below ``thresholds[i]``, and ``gamma`` from the last threshold on. Targets must be
    labels.

    Args:
        gamma: Gamma of the samples that lie below no threshold.
        thresholds: Ascending fractions in [0, 1].
        gammas: One for each threshold.
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.

    Raises:
        ValueError: For an invalid argument.

    Reference:
        Mukhoti et al., Calibrating Deep Neural Networks using Focal Loss, NeurIPS 2020
        (arXiv 2002.09437).

    Example:
        >>> import torch
        >>> FLSDLoss()(torch.zeros(2, 10), torch.tensor([0, 1]))  # p = 0.1, gamma = 5
        tensor(1.3597)
    """

    soft_targets = False

    def __init__(
        self,
        gamma: float = 3.0,
        thresholds: Sequence[float] = (0.2, 0.5),
        gammas: Sequence[float] = (5.0, 3.0),
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss_flsd",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        if not thresholds or len(thresholds) != len(gammas):
            raise ValueError(
                f"thresholds {tuple(thresholds)} and gammas {tuple(gammas)} must be equally many, "
                "at least one; SoftmaxFocalLoss has one gamma for all"
            )
        if list(thresholds) != sorted(thresholds) or not 0 <= thresholds[0] <= thresholds[-1] <= 1:
            raise ValueError(
                f"thresholds must be ascending fractions in [0, 1], got {tuple(thresholds)}"
            )
        self.gamma = check_not_negative("gamma", gamma)
        self.thresholds = tuple(thresholds)
        self.gammas = tuple(check_not_negative("gammas", value) for value in gammas)

    def sample_loss(self, samples: Samples) -> Tensor:
        """Focal loss of each sample."""
        return focal_loss(
            samples.logits,
            samples.target,
            self.gamma,
            thresholds=self.thresholds,
            gammas=self.gammas,
        )
