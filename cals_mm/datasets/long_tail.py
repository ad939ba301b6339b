"""A long-tailed subset of any classification data set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from cals_mm.frameworks.labels import labels_of
from cals_mm.frameworks.selections import data_info_of, metainfo_of

from .class_splits import long_tail_indices

__all__ = ["LongTailDataset"]


@DATASETS.register_module()
class LongTailDataset:
    """Keep an exponential long tail of a data set's images.

    Wrap only the training split, so that val and test stay balanced. Class 0 keeps all its images,
    class K - 1 one for every ``ratio`` of them.

    Args:
        dataset: A data set of mmpretrain, or a wrapper of some (joined, repeated, chosen), or its
            config; it needs ``metainfo['classes']`` and one ``gt_label`` per image.
        ratio: Images of class 0 for each image of class K - 1, at least 1.
        seed: Seed of the choice within each class.
        lazy_init: Defer reading the data set until it is needed.

    Raises:
        ValueError: If ``ratio`` is less than 1, or the data set is in test mode.

    Example:
        >>> import numpy as np
        >>> from cals_mm.datasets.digits import DigitsLT
        >>> digits = LongTailDataset(DigitsLT("train", ratio=1, pipeline=[]), ratio=20)
        >>> counts = np.bincount(digits.get_gt_labels())
        >>> int(counts[0]), int(counts[9])
        (84, 4)
    """

    def __init__(self, dataset: Any, ratio: float, seed: int = 0, lazy_init: bool = False) -> None:
        if ratio < 1:
            raise ValueError(
                f"ratio is {ratio}: give the images of the most frequent class divided by those "
                "of the rarest, at least 1"
            )
        if isinstance(dataset, Mapping):
            dataset = DATASETS.build({**dataset, "lazy_init": True})
        if _in_test_mode(dataset):
            raise ValueError(
                "LongTailDataset wraps a data set in test mode: wrap the training split only, so "
                "that val and test stay balanced"
            )
        self.dataset = dataset
        self.ratio = ratio
        self.seed = seed
        self._indices: np.ndarray | None = None
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """The ``metainfo`` of the wrapped data set."""
        return metainfo_of(self.dataset)

    def full_init(self) -> None:
        """Read the labels and choose the images, once."""
        if self._indices is None:
            labels = labels_of(self.dataset)
            num_classes = len(self.metainfo["classes"])
            self._indices = long_tail_indices(labels, num_classes, self.ratio, self.seed)
            self._labels = labels[self._indices]

    @property
    def indices(self) -> np.ndarray:
        """Indices kept of the data set, ascending int64."""
        self.full_init()
        assert self._indices is not None
        return self._indices

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Annotation of a kept image."""
        return data_info_of(self.dataset, int(self.indices[idx]))

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of a kept image, in a list."""
        self.full_init()
        return [int(self._labels[idx])]

    def get_gt_labels(self) -> np.ndarray:
        """Labels of the kept images, (N,) int64."""
        return np.array([self.get_cat_ids(idx)[0] for idx in range(len(self))])

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[int(self.indices[idx])]

    def __len__(self) -> int:
        return len(self.indices)


def _in_test_mode(dataset: Any) -> bool:
    inside = [*getattr(dataset, "datasets", ()), getattr(dataset, "dataset", None)]
    return getattr(dataset, "test_mode", False) or any(
        _in_test_mode(part) for part in inside if part is not None
    )
