"""What the losses that CALS is compared with share: how both frameworks call a loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cals_mm.functional._samples import Samples, as_samples

__all__ = ["BaselineLoss", "CallableLoss", "check_not_negative", "class_weight_tensor"]


class CallableLoss(nn.Module):
    """A loss as mmsegmentation and mmpretrain call it, in float32 whatever autocast says.

    A subclass gives :meth:`mean_loss`, and :meth:`each_loss` where single samples have a loss.

    Args:
        loss_weight: Factor of the loss.
        ignore_index: Label that counts for nothing, unless the head passes its own. None: every
            sample counts.
        loss_name: Name in the log; it must contain 'loss' to be optimised.
    """

    def __init__(self, loss_weight: float, ignore_index: int | None, loss_name: str) -> None:
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
    ) -> Tensor:
        """Loss of a batch, by the calling conventions of both frameworks.

        Args:
            logits: (N, K) or (N, K, H, W) floating.
            target: Labels (N,), (N, H, W) int64, or class probabilities of the logits' shape
                where the loss is defined for them.
            weight: Weights of the samples, of the labels' shape.
            avg_factor: Divisor of the sum over samples, instead of the number of valid ones.
            reduction_override: 'mean' or None; 'none' gives the loss of each sample, by which
                pixel samplers choose the hard ones.
            ignore_index: The head's ignored label, in place of the constructor's.

        Returns:
            Scalar, 0 with a zero gradient where no sample is valid; or with 'none' of the labels'
            shape, 0 where a sample is not valid.

        Raises:
            ValueError: If shapes or labels do not fit, naming the value and the cure.
        """
        ignored = self.ignore_index if ignore_index is None else ignore_index
        with torch.autocast(logits.device.type, enabled=False):
            if reduction_override in (None, "mean"):
                loss = self.mean_loss(logits, target, weight, avg_factor, ignored)
            elif reduction_override == "none":
                loss = self.each_loss(logits, target, weight, ignored)
            else:
                raise ValueError(
                    f"reduction_override={reduction_override!r}: {type(self).__name__} has "
                    "'mean', and 'none' for pixel samplers"
                )
        return self.loss_weight * loss

    def mean_loss(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        ignore_index: int | None,
    ) -> Tensor:
        """Scalar loss of a batch; the arguments are those of :meth:`forward`."""
        raise NotImplementedError

    def each_loss(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None
    ) -> Tensor:
        """Loss of each sample, of the labels' shape."""
        raise ValueError(
            f"reduction_override='none': {type(self).__name__} is one value a batch and has none "
            "for single samples; use it without a pixel sampler"
        )


class BaselineLoss(CallableLoss):
    """A loss made of one value a sample, perhaps with terms that look at the whole batch.

    A subclass gives :meth:`sample_loss`, and overrides :meth:`batch_loss` for such terms.
    """

    soft_targets = True
    """Whether the loss is defined for class probabilities as target (mixup, distillation)."""

    def sample_loss(self, samples: Samples) -> Tensor:
        """Loss of each sample, (N, ...); of no matter what where a sample is not valid."""
        raise NotImplementedError

    def batch_loss(
        self, samples: Samples, weight: Tensor | None, avg_factor: float | Tensor | None
    ) -> Tensor:
        """Scalar loss: the mean of :meth:`sample_loss` over the samples that count."""
        return samples.mean(self.sample_loss(samples), weight, avg_factor)

    def mean_loss(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        ignore_index: int | None,
    ) -> Tensor:
        """Scalar loss of a batch; the arguments are those of :meth:`forward`."""
        return self.batch_loss(self._samples(logits, target, ignore_index), weight, avg_factor)

    def each_loss(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None
    ) -> Tensor:
        """Loss of each sample, of the labels' shape, 0 where a sample is not valid."""
        samples = self._samples(logits, target, ignore_index)
        return samples.keep(self.sample_loss(samples), weight)

    def _samples(self, logits: Tensor, target: Tensor, ignore_index: int | None) -> Samples:
        samples = as_samples(logits, target, ignore_index)
        if samples.soft and not self.soft_targets:
            raise ValueError(
                f"{type(self).__name__} is defined for labels, but the target holds class "
                f"probabilities {tuple(target.shape)}: leave out mixup and cutmix, or use another "
                "loss"
            )
        return samples


def check_not_negative(name: str, value: float) -> float:
    """Return ``value`` as a float, or say what is wrong with it.

    Raises:
        ValueError: If it is negative or not finite.
    """
    if isinstance(value, bool) or not 0 <= float(value) < float("inf"):
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")
    return float(value)


def class_weight_tensor(class_weight: Sequence[float] | None) -> Tensor | None:
    """Class weights as a float32 tensor (K,), for a buffer."""
    return None if class_weight is None else torch.tensor(class_weight, dtype=torch.float)
