"""Labels of a classification data set, with or without wrappers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .selections import full_init, selected

__all__ = ["label_of", "labels_of"]


def labels_of(dataset: Any) -> np.ndarray:
    """Read the labels of all samples, (N,) int64, from annotations alone.

    Args:
        dataset: A data set of mmpretrain, or a wrapper of MMEngine or torch that joins, repeats,
            balances or selects samples.

    Raises:
        ValueError: If the data set does not provide labels.
    """
    full_init(dataset)
    return np.array([label_of(dataset, index) for index in range(len(dataset))], dtype=np.int64)


def label_of(dataset: Any, index: int) -> int:
    """Read the label of one sample, as :func:`labels_of` does."""
    dataset, index = selected(dataset, index)
    found: Any = None
    if hasattr(dataset, "get_data_info"):
        found = dataset.get_data_info(index).get("gt_label")
    if found is None and hasattr(dataset, "get_cat_ids"):
        found = dataset.get_cat_ids(index)
    labels = np.ravel([] if found is None else found)
    if len(labels) != 1:
        raise ValueError(
            f"{type(dataset).__name__} gives {len(labels)} labels for its sample {index}: it needs "
            "get_cat_ids(index), or 'gt_label' in get_data_info(index), with one label"
        )
    return int(labels[0])
