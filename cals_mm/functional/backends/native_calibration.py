"""The part of the calibration statistics that touches every logit, in the compiled kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from . import installed
from .tiles import dense, has_class_rows

__all__ = ["native_probability_sums"]

GROUPS = 16
"""Most partial sums of a call; independent of threads, so that results are too."""

SMALL = 1 << 16
"""Smallest number of logits in a group."""


def native_probability_sums(
    logits: Tensor, target: Tensor, valid: Tensor | None, num_bins: int, first_bin_end: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Compute the softmax and its sums in one pass over the logits.

    Args:
        logits: (N, K) or (N, K, ...) float32 or float64 on the CPU.
        target: Labels (N, ...) int64, in [0, K) where valid.
        valid: Mask (N, ...) of the valid samples. None means all.
        num_bins: Number of equal-width bins.
        first_bin_end: Largest probability in the first bin.

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
    size = -(-samples // max(1, min(GROUPS, logits.numel() // SMALL, samples)))
    groups = -(-samples // size)
    totals = torch.zeros((groups, num_classes), dtype=torch.float64)
    counts = torch.zeros((groups, num_classes, num_bins), dtype=torch.int64)
    probabilities = torch.zeros((groups, num_classes, num_bins), dtype=torch.float64)
    squares = torch.zeros(groups, dtype=torch.float64)
    mask = None if valid is None else valid.contiguous()
    installed.NATIVE.calibration(
        torch.get_num_threads(),
        logits.dtype == torch.float64,
        samples=samples,
        size=size,
        class_totals=totals.data_ptr(),
        class_counts=counts.data_ptr(),
        class_probabilities=probabilities.data_ptr(),
        square_totals=squares.data_ptr(),
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
    if mask is not None:
        mask = mask.view(-1)
        confidence, of_label = confidence[mask], of_label[mask]
    return confidence, of_label, totals.sum(0), squares.sum(), counts.sum(0), probabilities.sum(0)
