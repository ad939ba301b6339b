"""Batches of texts of different lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.registry import FUNCTIONS
from torch import Tensor

from .dataset import EncodedSample
from .vocabulary import PADDING

__all__ = ["pad_texts"]


@FUNCTIONS.register_module()
def pad_texts(samples: Sequence[EncodedSample]) -> dict[str, Tensor]:
    """Make a batch of texts, filled with ``PADDING`` to the length of the longest.

    A batch is three tensors instead of a list of samples, as creating those would take as long as a
    small model.

    Args:
        samples: N texts.

    Returns:
        ``inputs`` (N, L) int32 with L at least 1, ``gt_label`` (N,) int64, ``sample_idx`` (N,)
        int64: the arguments of :class:`TextClassifier`.
    """
    longest = max(1, *(len(sample.ids) for sample in samples))
    inputs = np.full((len(samples), longest), PADDING, dtype=np.int32)
    for row, sample in zip(inputs, samples, strict=True):
        row[: len(sample.ids)] = sample.ids
    return {
        "inputs": torch.from_numpy(inputs),
        "gt_label": torch.tensor([sample.label for sample in samples]),
        "sample_idx": torch.tensor([sample.number for sample in samples]),
    }
