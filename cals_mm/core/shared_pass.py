"""One pass over the logits of a prediction for two readers: the metric and the multipliers."""

from __future__ import annotations

from torch import Tensor

from cals_mm.functional._prediction_sums import DualSums
from cals_mm.functional.backends.dual import DualProblem

from .dual_statistics import DualStatistics

__all__ = ["SharedPass"]


class SharedPass:
    """Dual sums that were computed along with the calibration of a prediction, for a while.

    The first reader of a prediction, :meth:`CalibrationMeter.update`, computes and keeps them here.
    The second one takes them, and computes them itself if there are none; then it drops what was
    not taken.

    Args:
        statistics: Those that the sums are for; not changed.
        ignore_index: Label that they ignore. None ignores no label.

    Example:
        >>> import torch
        >>> from cals_mm.core import CalibrationMeter
        >>> statistics = DualStatistics(torch.ones(2), torch.ones(2), margin=1.0)
        >>> shared, logits = SharedPass(statistics, -100), torch.tensor([[3.0, 0.0]])
        >>> CalibrationMeter().update(logits, torch.tensor([0]), shared)
        >>> statistics.update(logits, sums=shared.take(logits))
        >>> int(statistics.count), shared.take(logits)
        (1, None)
    """

    def __init__(self, statistics: DualStatistics, ignore_index: int | None) -> None:
        self.statistics = statistics
        self.ignore_index = ignore_index
        # With the logits, so that their memory is not used again meanwhile.
        self._kept: dict[tuple[int, tuple[int, ...]], tuple[Tensor, DualSums]] = {}

    def problem(self, logits: Tensor, ignore_index: int | None) -> DualProblem | None:
        """What to compute of a batch beside its calibration.

        Args:
            logits: (N, K) or (N, K, ...).
            ignore_index: Label that the calibration ignores.

        Returns:
            The problem, without a mask; None if other labels are ignored, the statistics do not
            fit, or the sums are known.
        """
        own = self.statistics
        fits = logits.shape[1] == own.multipliers.numel() and ignore_index == self.ignore_index
        if not fits or _key(logits) in self._kept:
            return None
        return DualProblem(
            logits,
            own.multipliers.to(logits.device),
            own.rho.to(logits.device),
            own.margin,
            own.penalty,
            None,
            own.lambda_min,
            own.lambda_max,
        )

    def keep(self, logits: Tensor, sums: DualSums) -> None:
        """Keep the sums of a batch."""
        self._kept[_key(logits)] = (logits, sums)

    def take(self, logits: Tensor) -> DualSums | None:
        """Return the sums of a batch, once; None if there are none.

        Args:
            logits: The same memory and shape that :meth:`keep` has got.
        """
        found = self._kept.pop(_key(logits), None)
        return None if found is None else found[1]

    def clear(self) -> None:
        """Drop all sums that were not taken."""
        self._kept.clear()


def _key(logits: Tensor) -> tuple[int, tuple[int, ...]]:
    return logits.data_ptr(), tuple(logits.shape)
