"""Scikit-learn's handwritten digits with a long tail: real scans that need no download."""

from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from .class_splits import long_tail_indices
from .split_names import Split
from .three_splits import ThreeSplitDataset

__all__ = ["DigitsLT"]

VAL_PER_CLASS = 30
TEST_PER_CLASS = 60


@DATASETS.register_module()
class DigitsLT(ThreeSplitDataset):
    """The 1,797 digits of scikit-learn, 8 x 8 pixels, with a long-tailed training split.

    Of each digit, 60 scans form the test split and 30 the val split, so both are balanced. The
    training split is an exponential long tail of the other scans, of which there are at least 84
    for each digit: 0 is the most frequent digit and 9 the rarest.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        ratio: Scans of 0 for each scan of 9 in the training split; 1 keeps all.
        split_seed: Seed of the splits and of the tail.
        **kwargs: Arguments of mmpretrain's ``BaseDataset``.

    Raises:
        ValueError: If ``ratio`` is less than 1.
        ModuleNotFoundError: If scikit-learn is not installed.

    Reference:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository (its test set).
    """

    METAINFO = {"classes": tuple("0123456789")}

    def __init__(self, split: Split, ratio: float = 50.0, **kwargs: Any) -> None:
        self.ratio = ratio
        super().__init__(split=split, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Make the split from the scans in scikit-learn."""
        images, labels = _digits()
        parts: dict[str, list[np.ndarray]] = {"test": [], "val": [], "train": []}
        for digit in range(10):
            members = np.flatnonzero(labels == digit)
            members = np.random.default_rng([self.split_seed, digit]).permutation(members)
            bounds = (TEST_PER_CLASS, TEST_PER_CLASS + VAL_PER_CLASS)
            for part, chosen in zip(parts.values(), np.split(members, bounds), strict=True):
                part.append(chosen)
        # Equally many of each digit, so that only the ratio determines the tail.
        smallest = min(len(chosen) for chosen in parts["train"])
        parts["train"] = [chosen[:smallest] for chosen in parts["train"]]
        indices = np.concatenate(parts[self.split])
        if self.split == "train":
            kept = long_tail_indices(labels[indices].tolist(), 10, self.ratio, self.split_seed)
            indices = indices[kept]
        # 0 to 16 become 0 to 240, as bytes of one channel.
        pixels = (images[indices] * 15).astype(np.uint8)[..., None]
        return [
            {"img": image, "img_shape": (8, 8), "ori_shape": (8, 8), "gt_label": int(label)}
            for image, label in zip(pixels, labels[indices], strict=True)
        ]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the digits come with scikit-learn: pip install scikit-learn", name=error.name
        ) from None
    bunch = load_digits()
    return bunch.images, bunch.target
