"""The held-out fold as an argument of MMSegmentation data sets."""

import os
from collections.abc import Sequence

from mmseg.datasets import BaseSegDataset

from .missing_data import missing_data_error
from .splits import FOLDS, evenly_spaced, select_fold


class HeldOutFoldDataset(BaseSegDataset):
    """A segmentation data set of which one fold is loaded.

    A training set has three views: ``fold='fit'`` to train the weights, ``fold='held_out'`` to
    learn the multipliers, ``fold='all'`` for everything. Which images are held out is a rule of
    the subclass and depends on the file names only.

    Args:
        fold: ``'all'``, ``'fit'`` or ``'held_out'``.
        max_images: Keep that many images of the fold at even distances; None keeps all.
        **kwargs: Arguments of ``BaseSegDataset``.

    Raises:
        ValueError: ``fold`` or ``max_images`` is not valid, the folders are missing, or no image
            is left.
    """

    DATA_NAME: str
    DATA_HELP: tuple[str, str]

    def __init__(self, fold: str = "all", max_images: int | None = None, **kwargs) -> None:
        if fold not in FOLDS:
            raise ValueError(f"fold is {fold!r}: choose from {', '.join(FOLDS)}")
        if max_images is not None and (not isinstance(max_images, int) or max_images < 1):
            raise ValueError(f"max_images is {max_images!r}: give a positive integer or None")
        self.fold = fold
        self.max_images = max_images
        super().__init__(**kwargs)

    def held_out_names(self, names: Sequence[str]) -> frozenset[str]:
        """Chooses the held-out images.

        Args:
            names: Image names relative to the image folder, without suffix.

        Returns:
            The names held out.
        """
        raise NotImplementedError

    def select_names(self, names: Sequence[str]) -> list[str]:
        """Applies fold and ``max_images`` to sorted image names."""
        held_out = frozenset() if self.fold == "all" else self.held_out_names(names)
        kept = select_fold(names, held_out, self.fold)
        return kept if self.max_images is None else evenly_spaced(kept, self.max_images)

    def load_data_list(self) -> list[dict]:
        """Lists the images of the fold with the paths of their label maps.

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
                f"no image of {self.data_prefix['img_path']} is in the fold {self.fold!r}: "
                f"use fold='all' or a folder with more images"
            )
        self._check_files(entries[kept[0]])
        return [entries[name] for name in kept]

    def _name_of(self, entry: dict) -> str:
        name = os.path.relpath(entry["img_path"], self.data_prefix["img_path"])
        return name.removesuffix(self.img_suffix).replace(os.sep, "/")

    def _check_folders(self) -> None:
        folders = [self.data_prefix.get(key) for key in ("img_path", "seg_map_path")]
        for folder in folders:
            if folder and not os.path.isdir(folder):
                raise self._missing(folder)
        if self.ann_file and not os.path.isfile(self.ann_file):
            raise self._missing(self.ann_file)

    def _check_files(self, entry: dict) -> None:
        """Looks for one image and its label map, so that a run fails now and not in a worker."""
        for key in ("img_path", "seg_map_path"):
            if key in entry and not os.path.isfile(entry[key]):
                raise self._missing(entry[key])

    def _missing(self, path: str) -> ValueError:
        root = self.data_root or "(none given)"
        return missing_data_error(self.DATA_NAME, path, root, self.DATA_HELP)
