"""Read data sets through torch's ``Subset`` and ``ConcatDataset``, which lack their methods."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

__all__ = ["data_info_of", "full_init", "has_data_info", "metainfo_of", "selected"]


def selected(dataset: Any, index: int) -> tuple[Any, int]:
    """The data set inside of selected and joined ones, and the index of a sample there.

    Args:
        dataset: A data set. It is a selection if it has a ``dataset`` and ``indices``.
        index: Index of the sample, at least 0.

    Example:
        >>> from torch.utils.data import ConcatDataset, Subset
        >>> selected(ConcatDataset(["ab", Subset("cde", [2, 0])]), 3)
        ('cde', 0)
    """
    while True:
        if _is_selection(dataset):
            dataset, index = dataset.dataset, int(dataset.indices[index])
        elif _is_joined(dataset):
            part = bisect_right(dataset.cumulative_sizes, index)
            index -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        else:
            return dataset, index


def data_info_of(dataset: Any, index: int) -> dict[str, Any]:
    """Annotation of a sample, by the ``get_data_info`` of MMEngine's data sets."""
    dataset, index = selected(dataset, index)
    info: dict[str, Any] = dataset.get_data_info(index)
    return info


def has_data_info(dataset: Any) -> bool:
    """Whether :func:`data_info_of` can be called."""
    return hasattr(_first(dataset), "get_data_info")


def metainfo_of(dataset: Any) -> Mapping[str, Any]:
    """The ``metainfo`` of a data set, or of the first one inside; empty if it has none."""
    return getattr(_first(dataset), "metainfo", None) or {}


def full_init(dataset: Any) -> None:
    """Let a data set read its annotations, if it has not done so yet."""
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    elif _is_selection(dataset):
        full_init(dataset.dataset)
    elif _is_joined(dataset):
        for part in dataset.datasets:
            full_init(part)


def _first(dataset: Any) -> Any:
    while True:
        if _is_selection(dataset):
            dataset = dataset.dataset
        elif _is_joined(dataset):
            dataset = dataset.datasets[0]
        else:
            return dataset


def _is_selection(dataset: Any) -> bool:
    return hasattr(dataset, "dataset") and hasattr(dataset, "indices")


def _is_joined(dataset: Any) -> bool:
    return hasattr(dataset, "datasets") and hasattr(dataset, "cumulative_sizes")
