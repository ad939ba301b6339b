"""The part of the calibration statistics that touches every logit, by the compiled kernel."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from . import installed
from .threads import run_tiles
from .tiles import dense, has_class_rows

__all__ = ["native_probability_sums"]

GROUPS = 16
"""Partial sums of a call, at most; by the data alone, so that threads do not change the result."""

SMALL = 1 << 16
"""Logits of a group, at least."""


def native_probability_sums(
    logits: Tensor, target: Tensor, valid: Tensor | None, num_bins: int, first_bin_end: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Softmax and its sums in one pass over the logits.

    Args:
        logits: (N, K) or (N, K, ...) float32 or float64 on the CPU.
        target: Labels (N, ...) int64, in [0, K) where valid.
        valid: Mask (N, ...) of the samples that count; None: all.
        num_bins: Number of equal-width bins.
        first_bin_end: Largest probability of the first of them.

    Returns:
        Largest probability (V,) of each valid sample, that of its label (V,), and the sums over
        samples: of each class's probability (K,) float64, of all squares () float64, and per class
        and bin, but for the first, the numbers (K, bins) int64 and the probabilities (K, bins)
        float64.
    """
    logits, target = dense(logits.detach()), target.long().contiguous()
    num_classes = logits.shape[1]
    samples = target.numel()
    confidence, of_label = logits.new_empty(2, samples).unbind()
    groups = max(1, min(GROUPS, logits.numel() // SMALL, samples))
    size = -(-samples // groups)
    totals = torch.zeros((groups, num_classes), dtype=torch.float64)
    counts = torch.zeros((groups, num_classes, num_bins), dtype=torch.int64)
    probabilities = torch.zeros((groups, num_classes, num_bins), dtype=torch.float64)
    squares = [0.0] * groups
    mask = None if valid is None else valid.contiguous()
    kernel = partial(
        installed.NATIVE.calibration,
        wide=logits.dtype == torch.float64,
        logits=logits.data_ptr(),
        target=target.data_ptr(),
        valid=0 if mask is None else mask.data_ptr(),
        confidence=confidence.data_ptr(),
        of_label=of_label.data_ptr(),
        classes=num_classes,
        pixels=samples // logits.shape[0],
        rows=logits.ndim == 2 or has_class_rows(logits),
        bins=num_bins,
        first_bin_end=first_bin_end,
    )

    def worker(group: int) -> None:
        sums = (totals[group], counts[group], probabilities[group])
        start, stop = group * size, min((group + 1) * size, samples)
        squares[group] = kernel(start, max(start, stop), *(part.data_ptr() for part in sums))

    run_tiles(lambda: worker, groups, logits)
    if mask is not None:
        mask = mask.view(-1)
        confidence, of_label = confidence[mask], of_label[mask]
    square_total = torch.scalar_tensor(sum(squares), dtype=torch.float64)
    return confidence, of_label, totals.sum(0), square_total, counts.sum(0), probabilities.sum(0)
