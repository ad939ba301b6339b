"""ImageNet and Tiny-ImageNet in three splits, and ImageNet-LT by its lists."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES

from .missing_data import IMAGENET, IMAGENET_LT, TINY_IMAGENET
from .split_names import Split
from .three_splits import ThreeSplitDataset, class_folders, folder_samples, read_index_file

__all__ = ["ImageNetLT", "ImageNetSplit", "TinyImageNetSplit", "read_labelled_paths"]

INDEX_FILE = "val_ind.txt"


class _IndexedSplit(ThreeSplitDataset):
    """Base class of data sets that use the authors' index file of held-out images if it exists."""

    def held_out(self, samples: Sequence[dict[str, Any]]) -> np.ndarray:
        """Return whether each sample is held out as val, (N,) bool."""
        file = Path(self.data_root) / INDEX_FILE
        if not file.is_file():
            return super().held_out(samples)
        print_log(f"{self.split} split of {self.DATA_NAME} by {file}", logger="current")
        return read_index_file(file, len(samples))


@DATASETS.register_module()
class ImageNetSplit(_IndexedSplit):
    """ImageNet with 10,000 of the official val images as val and the other 40,000 as test.

    Needs ``train/<wnid>/*.JPEG`` and ``val/<wnid>/*.JPEG``, or ``val/*.JPEG`` with the list
    ``meta/val.txt`` of paths and labels. The val split has ten images of each class, chosen by a
    seed, or those listed in ``val_ind.txt`` in the data root, with one index per line into the
    sorted list of images.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        data_root: Folder of the data.
        **kwargs: Arguments of ``ThreeSplitDataset``.

    Raises:
        ValueError: The data are missing.
    """

    METAINFO = {"classes": IMAGENET_CATEGORIES}
    DATA_NAME = "ImageNet"
    DATA_HELP = IMAGENET
    VAL_FRACTION = 0.2

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images of the split."""
        if self.split == "train":
            return self._listed("train")
        return self.select(self._listed("val"), held_out=self.split == "val")

    def _listed(self, official: str) -> list[dict[str, Any]]:
        folder = Path(self.data_root) / official
        if not folder.is_dir():
            raise self.missing(folder)
        listed = Path(self.data_root) / "meta" / f"{official}.txt"
        names = class_folders(folder)
        if not names and listed.is_file():
            samples = read_labelled_paths(listed, folder)
            return sorted(samples, key=lambda sample: (sample["gt_label"], sample["img_path"]))
        expected = len(self._metainfo["classes"])
        samples = folder_samples(folder, names) if len(names) == expected else []
        if not samples:
            raise self.missing(f"{folder} ({len(names)} class folders)")
        return samples


@DATASETS.register_module()
class TinyImageNetSplit(_IndexedSplit):
    """Tiny-ImageNet with 10,000 of its training images as val and its official val as test.

    Needs the unpacked ``tiny-imagenet-200.zip``. The val split has fifty images of each class,
    chosen by a seed, or those listed in ``val_ind.txt`` in the data root, with one index per line
    into the sorted list of training images.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        data_root: Folder of the data.
        **kwargs: Arguments of ``ThreeSplitDataset``.

    Raises:
        ValueError: The data are missing.
    """

    METAINFO = {"classes": tuple(f"class {k}" for k in range(200))}
    DATA_NAME = "Tiny-ImageNet"
    DATA_HELP = TINY_IMAGENET

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images of the split."""
        root = Path(self.data_root)
        if not (root / "train").is_dir():
            raise self.missing(root / "train")
        names = class_folders(root / "train")
        if len(names) != len(self._metainfo["classes"]):
            raise self.missing(f"{root / 'train'} ({len(names)} class folders)")
        self._metainfo["classes"] = tuple(names)
        if self.split == "test":
            return self._official_val(root / "val", names)
        samples = folder_samples(root / "train", names)
        if not samples:
            raise self.missing(root / "train" / names[0] / "images" / "*.JPEG")
        return self.select(samples, held_out=self.split == "val")

    def _official_val(self, folder: Path, names: list[str]) -> list[dict[str, Any]]:
        annotations = folder / "val_annotations.txt"
        if not annotations.is_file():
            # Some tools sort the images into folders of classes.
            samples = folder_samples(folder, names)
            if not samples:
                raise self.missing(annotations)
            return samples
        label_of = {name: label for label, name in enumerate(names)}
        fields = [line.split("\t") for line in annotations.read_text("utf-8").splitlines()]
        return sorted(
            (
                {"img_path": str(folder / "images" / file), "gt_label": label_of[name]}
                for file, name, *_ in fields
            ),
            key=lambda sample: sample["img_path"],
        )


@DATASETS.register_module()
class ImageNetLT(ThreeSplitDataset):
    """ImageNet-LT, read from its lists ``ImageNet_LT_{train,val,test}.txt``.

    They have 115,846, 20,000 and 50,000 images. The val split is part of ImageNet's training
    images; val and test are balanced.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        data_root: Folder of ImageNet, to which the paths in the lists are relative.
        ann_file: The list, relative to ``data_root``. By default it has the usual name, in
            ``data_root`` or its folder ``ImageNet_LT``.
        **kwargs: Arguments of ``ThreeSplitDataset``.

    Raises:
        ValueError: If a list or the images are missing, or a line is not a path and a label.

    Reference:
        Liu et al., Large-Scale Long-Tailed Recognition in an Open World, CVPR 2019.
    """

    METAINFO = {"classes": IMAGENET_CATEGORIES}
    DATA_NAME = "ImageNet-LT"
    DATA_HELP = IMAGENET_LT

    def __init__(self, split: Split, ann_file: str = "", **kwargs: Any) -> None:
        super().__init__(split=split, ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the list."""
        root = Path(self.data_root)
        name = f"ImageNet_LT_{self.split}.txt"
        places = [root / name, root / "ImageNet_LT" / name]
        if self.ann_file:
            places = [Path(self.ann_file)]
        found = [place for place in places if place.is_file()]
        if not found:
            raise self.missing(places[0])
        samples = read_labelled_paths(found[0], root)
        if not samples or not Path(samples[0]["img_path"]).is_file():
            raise self.missing(samples[0]["img_path"] if samples else found[0])
        return samples


def read_labelled_paths(file: Path, folder: Path) -> list[dict[str, Any]]:
    """Read a list with ``path label`` on each line.

    Args:
        file: The list.
        folder: Folder to which the paths are relative.

    Returns:
        A dictionary with ``img_path`` and ``gt_label`` for each line.

    Raises:
        ValueError: If a line has another form.
    """
    samples = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        path, _, label = line.strip().rpartition(" ")
        if not path or not label.isdigit():
            raise ValueError(f"{file}, line {number} is {line!r}: expected a path and a label")
        samples.append({"img_path": str(folder / path), "gt_label": int(label)})
    return samples
