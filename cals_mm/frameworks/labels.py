"""The class of each sample of a classification data set, whatever wraps it."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["label_of", "labels_of"]


def labels_of(dataset: Any) -> np.ndarray:
    """Labels of all samples, (N,) int64; reads annotations, not images.

    Args:
        dataset: A data set of mmpretrain, or a wrapper of MMEngine or torch over some: joined,
            repeated, balanced, chosen.

    Raises:
        ValueError: If it does not say the labels of its samples.
    """
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    return np.array([label_of(dataset, index) for index in range(len(dataset))], dtype=np.int64)


def label_of(dataset: Any, index: int) -> int:
    """Label of one sample, as for :func:`labels_of`."""
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        # A choice, such as torch's Subset; what it wraps may be able to do less than it promises.
        return label_of(dataset.dataset, int(dataset.indices[index]))
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
