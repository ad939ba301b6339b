"""Calibration and dual sums of a batch in the compiled kernel, in one pass over the logits."""

from __future__ import annotations

import torch
from torch import Tensor

from .._calibration_bins import CELL_FIRST, CELL_SHIFT, NUM_CELLS, first_bin_end
from . import installed
from .dual import DualProblem
from .native import address
from .tiles import dense, has_class_rows

__all__ = ["native_prediction_sums"]

GROUPS = 16
"""Most partial sums of a call; independent of threads, so that results are too."""

SMALL = 1 << 16
"""Smallest number of logits in a group."""


def native_prediction_sums(
    logits: Tensor, target: Tensor, ignore_index: int | None, num_bins: int, dual: DualProblem
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute all sums over the samples of a batch.

    Args:
        logits: (N, K) or (N, K, ...) float32 or float64 on the CPU.
        target: Labels (N, ...) int64.
        ignore_index: Label of the samples to ignore. None ignores no label.
        num_bins: Number of equal-width bins.
        dual: Multipliers and the like of the dual sums, PHR or ReLU. Without multipliers, (0,),
            the dual sums are 0.

    Returns:
        Counts and sums as of ``CalibrationStatistics.pack``, where the first bins of the classes
        are empty; per class the sums of probability, of the clipped derivative of the penalty, and
        of d - m, (3, K) float64; and whether a label was no class, () int64.
    """
    logits, target = dense(logits.detach()), target.long().contiguous()
    dtype, num_classes = logits.dtype, logits.shape[1]
    samples = target.numel()
    size = -(-samples // max(1, min(GROUPS, logits.numel() // SMALL, samples)))
    groups = -(-samples // size)
    cells, bins = NUM_CELLS, num_bins
    counts = torch.zeros(
        (groups, 2 * (bins + cells) + num_classes * (2 * bins + 1) + 1), dtype=torch.int64
    )
    sums = torch.zeros((groups, bins + cells + num_classes * bins + 2), dtype=torch.float64)
    per_class = torch.zeros((groups, 3, num_classes), dtype=torch.float64)
    # Both must live until the kernel has run.
    intercept = gradient = None
    low, high = dual.lambda_min, dual.lambda_max
    if dual.multipliers.numel():
        intercept = dual.multipliers.to(dtype).contiguous()
        gradient = (dual.rho.to(dtype) / dual.margin).contiguous()
        low, high = max(low, 0.0), max(high, 0.0)
    strange = installed.NATIVE.calibration(
        torch.get_num_threads(),
        dtype == torch.float64,
        samples=samples,
        size=size,
        counts=counts.data_ptr(),
        sums=sums.data_ptr(),
        per_class=per_class.data_ptr(),
        logits=logits.data_ptr(),
        intercept=address(intercept),
        gradient=address(gradient),
        target=target.data_ptr(),
        classes=num_classes,
        pixels=samples // logits.shape[0],
        ignore_index=ignore_index or 0,
        rows=logits.ndim == 2 or has_class_rows(logits),
        ignores=ignore_index is not None,
        relu=dual.kind == "relu",
        bins=bins,
        margin=dual.margin,
        low=low,
        high=high,
        first_bin_end=first_bin_end(num_bins, dtype),
        cells=cells,
        cell_first=CELL_FIRST,
        cell_shift=CELL_SHIFT,
    )
    return counts.sum(0), sums.sum(0), per_class.sum(0), torch.tensor(int(strange))
