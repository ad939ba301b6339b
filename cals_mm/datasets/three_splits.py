"""Base class of the classification data sets, with three splits, and class folders."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.datasets import BaseDataset

from .class_splits import stratified_held_out
from .missing_data import missing_data_error
from .split_names import Split, check_split

__all__ = ["ThreeSplitDataset", "class_folders", "folder_samples", "read_index_file"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")


class ThreeSplitDataset(BaseDataset):
    """A classification data set with three splits.

    Args:
        split: ``'train'`` for the weights, ``'val'`` for the multipliers, ``'test'``.
        data_root: Folder of the data.
        val_fraction: Share of each class to hold out as val, if the data set has no val split.
        split_seed: Seed of the choice of the held-out images.
        **kwargs: Arguments of mmpretrain's ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is unknown, or the data are missing.
    """

    DATA_NAME: str
    DATA_HELP: tuple[str, str]
    VAL_FRACTION = 0.1

    def __init__(
        self,
        split: Split,
        data_root: str = "",
        val_fraction: float | None = None,
        split_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_split(split)
        self.split = split
        self.val_fraction = self.VAL_FRACTION if val_fraction is None else val_fraction
        self.split_seed = split_seed
        kwargs.setdefault("ann_file", "")
        super().__init__(data_root=os.path.expanduser(data_root), **kwargs)

    def held_out(self, samples: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return whether each sample is held out as val, (N,) bool."""
        labels = [sample["gt_label"] for sample in samples]
        return stratified_held_out(labels, self.val_fraction, self.split_seed)

    def select(self, samples: Sequence[dict[str, Any]], held_out: bool) -> list[dict[str, Any]]:
        """Select the held-out samples or the others."""
        chosen = self.held_out(samples) == held_out
        return [sample for sample, keep in zip(samples, chosen, strict=True) if keep]

    def missing(self, path: str | Path) -> ValueError:
        """Create the error for a missing file or folder."""
        return missing_data_error(self.DATA_NAME, path, self.data_root or ".", self.DATA_HELP)

    def extra_repr(self) -> list[str]:
        """Show the split in ``repr``."""
        return [f"Split: \t{self.split}", f"Root of dataset: \t{self.data_root}"]


def class_folders(folder: str | Path) -> list[str]:
    """Return the sorted names of the folders in ``folder``, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def folder_samples(folder: str | Path, classes: Sequence[str]) -> list[dict[str, Any]]:
    """List the images under one folder per class, in the order of their paths.

    Args:
        folder: Folder of the class folders, which may contain folders.
        classes: Names of the class folders; label k is the k-th of them.

    Returns:
        A dictionary with ``img_path`` and ``gt_label`` for each image.
    """
    samples = []
    for label, name in enumerate(classes):
        paths = [
            os.path.join(inner, file)
            for inner, _, files in os.walk(os.path.join(folder, name))
            for file in files
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")
        ]
        samples += [{"img_path": path, "gt_label": label} for path in sorted(paths)]
    return samples


def read_index_file(path: str | Path, size: int) -> np.ndarray:
    """Return whether each sample is listed in a file with one index per line, (size,) bool.

    Raises:
        ValueError: If a line is not an index of the data set.
    """
    held_out = np.zeros(size, dtype=bool)
    for number, line in enumerate(Path(path).read_text("utf-8").split(), 1):
        if not line.isdigit() or int(line) >= size:
            raise ValueError(
                f"{path}, line {number} is {line!r}: expected an index from 0 to {size - 1}, the "
                "place of an image in the sorted list of paths"
            )
        held_out[int(line)] = True
    return held_out
