"""How mmsegmentation and mmpretrain call a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

__all__ = ["FrameworkLoss", "LossCall", "ResizedCall"]


class LossCall(NamedTuple):
    """What a head passes to a loss."""

    logits: Tensor
    """(N, K) or (N, K, H, W) floating."""
    target: Tensor
    """Labels (N,) or (N, H, W) int64, or class probabilities of the shape of ``logits``."""
    weight: Tensor | None
    """Weights of the samples, of the shape of the labels."""
    avg_factor: float | Tensor | None
    """Divisor of the sum over samples, instead of the number of samples that count."""
    ignore_index: int | None
    """Label to ignore: the head's, else the constructor's. None ignores no label."""
    given: Mapping[str, Any]
    """Keyword arguments as the head passed them, for a wrapped loss."""


class ResizedCall(NamedTuple):
    """What a segmentation head can pass to a loss before it resizes its logits."""

    logits: Tensor
    """(N, K, h, w) floating."""
    target: Tensor
    """Labels (N, H, W) int64."""
    align_corners: bool
    """As for ``torch.nn.functional.interpolate``."""
    ignore_index: int
    """The label that the head ignores."""


class FrameworkLoss(nn.Module):
    """Base class of losses that mmsegmentation and mmpretrain can call.

    A subclass implements :meth:`mean_loss`, and :meth:`each_loss` if the loss is defined for single
    samples. If it can be computed without resized logits, it also implements :attr:`resizes` and
    :meth:`resized`.

    Args:
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss",
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.loss_name = loss_name

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
        **extra: Any,
    ) -> Tensor:
        """Compute the loss of a batch, by the calling conventions of both frameworks.

        Args:
            logits: (N, K) or (N, K, H, W) floating.
            target: Labels (N,), (N, H, W) of any integer dtype, or class probabilities of the
                logits' shape where the loss is defined for them.
            weight: Weights of the samples, of the labels' shape.
            avg_factor: Divisor of the sum over samples, instead of the number of valid ones. With
                class weights, the number of all samples selects the weighted mean.
            reduction_override: 'mean' or None for a scalar; 'none' for the loss of each sample,
                which pixel samplers need to select hard pixels.
            ignore_index: The head's ignored label, in place of the constructor's.
            extra: Arguments of a wrapped loss; an error if there is none.

        Returns:
            Scalar, 0 with a zero gradient if no sample is valid. With 'none', a tensor of the
            labels' shape, 0 where a sample is not valid.

        Raises:
            ValueError: If shapes or labels do not fit, naming the value and the cure.
            TypeError: For an unknown argument.
        """
        if extra and not self.takes_extra:
            raise TypeError(f"{type(self).__name__} got unknown arguments {sorted(extra)}")
        if reduction_override not in (None, "mean", "none"):
            raise ValueError(
                f"reduction_override={reduction_override!r}: {type(self).__name__} has 'mean', "
                "and 'none' for pixel samplers"
            )
        if not target.is_floating_point():
            target = target.long()
        given = {"weight": weight, "avg_factor": avg_factor, "ignore_index": ignore_index}
        call = LossCall(
            logits,
            target,
            weight,
            None if self._asks_for_the_mean(avg_factor, logits) else avg_factor,
            self.ignore_index if ignore_index is None else ignore_index,
            {key: value for key, value in given.items() if value is not None} | extra,
        )
        loss = self.each_loss(call) if reduction_override == "none" else self.mean_loss(call)
        return loss if self.loss_weight == 1 else self.loss_weight * loss

    def _asks_for_the_mean(self, avg_factor: float | Tensor | None, logits: Tensor) -> bool:
        """Whether a divisor is just the number of samples and stands for a weighted mean.

        mmpretrain's heads always pass the number of samples.
        """
        if getattr(self, "class_weight", None) is None or not isinstance(avg_factor, (int, float)):
            return False
        return logits.ndim > 1 and avg_factor * logits.shape[1] == logits.numel()

    @property
    def takes_extra(self) -> bool:
        """Whether there is a wrapped loss, which receives further arguments."""
        return False

    def mean_loss(self, call: LossCall) -> Tensor:
        """Scalar loss of a batch."""
        raise NotImplementedError

    def each_loss(self, call: LossCall) -> Tensor:
        """Loss of each sample, of the labels' shape, 0 where a sample is not valid."""
        raise ValueError(
            f"reduction_override='none': {type(self).__name__} is one value a batch and has none "
            "for single samples; use it without a pixel sampler"
        )

    @property
    def resizes(self) -> bool:
        """Whether :meth:`resized` computes the loss as configured."""
        return False

    def resized(self, call: ResizedCall) -> tuple[Tensor, Tensor]:
        """Loss () of the logits resized to the labels, and their accuracy () in [0, 1]."""
        raise NotImplementedError
