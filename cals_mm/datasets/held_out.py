"""Base class of segmentation data sets that divide one folder into train and val."""

import os
from collections.abc import Sequence
from typing import Any

from mmseg.datasets import BaseSegDataset

from .missing_data import missing_data_error
from .split_names import Split, check_split
from .splits import evenly_spaced, keep_split

__all__ = ["HeldOutDataset"]


class HeldOutDataset(BaseSegDataset):
    """A segmentation data set with three splits.

    Train and val share a folder; val consists of held-out images, chosen by the subclass from file
    names alone. Test has its own folder.

    Args:
        split: ``'train'`` for the weights, ``'val'`` for the multipliers; with ``'test'`` or None,
            all images of the folder.
        max_images: Number of images of the split to keep, evenly spaced. None keeps all.
        **kwargs: Arguments of ``BaseSegDataset``.

    Raises:
        ValueError: If ``split`` or ``max_images`` is invalid, the folders are missing, or no image
            is left.
    """

    DATA_NAME: str
    DATA_HELP: tuple[str, str]

    def __init__(
        self, split: Split | None = None, max_images: int | None = None, **kwargs: Any
    ) -> None:
        if split is not None:
            check_split(split)
        if max_images is not None and (not isinstance(max_images, int) or max_images < 1):
            raise ValueError(f"max_images is {max_images!r}: give a positive integer or None")
        self.split = split
        self.max_images = max_images
        super().__init__(**kwargs)

    def held_out_names(self, names: Sequence[str]) -> frozenset[str]:
        """Choose the held-out images.

        Args:
            names: Image names relative to the image folder, without suffix.

        Returns:
            The names held out.
        """
        raise NotImplementedError

    def select_names(self, names: Sequence[str]) -> list[str]:
        """Apply split and ``max_images`` to sorted image names."""
        kept = list(names)
        if self.split == "train" or self.split == "val":
            kept = keep_split(names, self.held_out_names(names), self.split)
        return kept if self.max_images is None else evenly_spaced(kept, self.max_images)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images of the split with the paths of their label maps.

        Returns:
            One dictionary per image, sorted by image name.
        """
        self._check_folders()
        entries = {self._name_of(entry): entry for entry in super().load_data_list()}
        if not entries:
            raise self._missing(f"{self.data_prefix['img_path']} (no *{self.img_suffix})")
        kept = self.select_names(sorted(entries))
        if not kept:
            raise ValueError(
                f"no image of {self.data_prefix['img_path']} is in the split "
                f"{self.split!r}: use a folder with more images, or split=None for all of them"
            )
        self._check_files(entries[kept[0]])
        return [entries[name] for name in kept]

    def _name_of(self, entry: dict[str, Any]) -> str:
        name: str = os.path.relpath(entry["img_path"], self.data_prefix["img_path"])
        return name.removesuffix(str(self.img_suffix)).replace(os.sep, "/")

    def _check_folders(self) -> None:
        folders = [self.data_prefix.get(key) for key in ("img_path", "seg_map_path")]
        for folder in folders:
            if folder and not os.path.isdir(folder):
                raise self._missing(folder)
        if self.ann_file and not os.path.isfile(self.ann_file):
            raise self._missing(self.ann_file)

    def _check_files(self, entry: dict[str, Any]) -> None:
        """Check that an image and its label map exist, to fail here and not in a worker."""
        for key in ("img_path", "seg_map_path"):
            if key in entry and not os.path.isfile(entry[key]):
                raise self._missing(entry[key])

    def _missing(self, path: str) -> ValueError:
        root = self.data_root or "(none given)"
        return missing_data_error(self.DATA_NAME, path, root, self.DATA_HELP)
