"""CIFAR-10 and CIFAR-100 as published, or as a folder of images per class."""

import pickle
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.registry import DATASETS
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES, CIFAR100_CATEGORIES

from .missing_data import CIFAR10, CIFAR100
from .three_splits import ThreeSplitDataset, class_folders, folder_samples

__all__ = ["CIFAR10Split", "CIFAR100Split"]


@DATASETS.register_module()
class CIFAR10Split(ThreeSplitDataset):
    """CIFAR-10, or any set of small images in ten classes.

    ``data_root`` holds either the unpacked ``cifar-10-batches-py`` or one folder per class:
    ``train/<class>/*.png``, ``test/<class>/*.png``, optionally ``val/<class>/*.png``. A tenth of
    each class of train is held out as val. If there are only the folders ``train`` and ``val``,
    ``val`` is the test set, as in many published sets.

    Images are RGB, from either form. Labels of folders follow the sorted names of the classes,
    which become ``metainfo['classes']``.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        data_root: Folder of the data.
        classes: Names of the classes, if the number of class folders differs from CIFAR's.
        **kwargs: Arguments of ``ThreeSplitDataset``.

    Raises:
        ValueError: If the data are missing or have another number of classes.
    """

    METAINFO = {"classes": CIFAR10_CATEGORIES}
    DATA_NAME = "CIFAR-10"
    DATA_HELP = CIFAR10
    FOLDER = "cifar-10-batches-py"
    TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
    TEST_FILES: tuple[str, ...] = ("test_batch",)
    LABELS = "labels"

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images of the split."""
        root = Path(self.data_root)
        if (root / "train").is_dir():
            return self._from_folders(root)
        for folder in (root / self.FOLDER, root):
            if (folder / self.TRAIN_FILES[0]).is_file():
                return self._from_binary(folder)
        raise self.missing(root / "train" if root.is_dir() else root)

    def prepare_data(self, idx: int) -> Any:
        """Read the image if the data are files, then run the pipeline."""
        info = self.get_data_info(idx)
        if "img" not in info:
            image = mmcv.imread(info["img_path"], flag="color", channel_order="bgr")
            if image is None:
                raise ValueError(f"{info['img_path']} is no readable image: replace or remove it")
            info["img"] = image[..., ::-1].copy()
        info["img_shape"] = info["ori_shape"] = info["img"].shape[:2]
        return self.pipeline(info)

    def _from_folders(self, root: Path) -> list[dict[str, Any]]:
        names = class_folders(root / "train")
        expected = len(self._metainfo["classes"])
        if len(names) != expected:
            raise ValueError(
                f"{root / 'train'} has {len(names)} class folders, but the config {expected} "
                "classes: give a folder per class, or set num_classes of head and loss and "
                "classes=[...] of the data sets"
            )
        self._metainfo["classes"] = tuple(names)
        has_test = (root / "test").is_dir()
        if self.split == "test":
            folder = root / ("test" if has_test else "val")
            return self._listed(folder, names)
        if has_test and (root / "val").is_dir():
            return self._listed(root / self.split, names)
        train = self._listed(root / "train", names)
        return self.select(train, held_out=self.split == "val")

    def _listed(self, folder: Path, names: list[str]) -> list[dict[str, Any]]:
        if not folder.is_dir():
            raise self.missing(folder)
        strange = sorted(set(class_folders(folder)) - set(names))
        if strange:
            raise ValueError(
                f"{folder / strange[0]} is a class that {folder.parent / 'train'} lacks: name the "
                "class folders of all splits alike"
            )
        samples = folder_samples(folder, names)
        if not samples:
            raise self.missing(folder / names[0] / "*.png")
        return samples

    def _from_binary(self, folder: Path) -> list[dict[str, Any]]:
        images, labels = [], []
        for name in self.TEST_FILES if self.split == "test" else self.TRAIN_FILES:
            if not (folder / name).is_file():
                raise self.missing(folder / name)
            with open(folder / name, "rb") as stream:
                entry = pickle.load(stream, encoding="latin1")
            images.append(entry["data"])
            labels += entry[self.LABELS]
        pixels = np.concatenate(images).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        samples = [
            {"img": image, "gt_label": int(label)}
            for image, label in zip(pixels, labels, strict=True)
        ]
        if self.split == "test":
            return samples
        return self.select(samples, held_out=self.split == "val")


@DATASETS.register_module()
class CIFAR100Split(CIFAR10Split):
    """CIFAR-100 as ``cifar-100-python``, or any set of small images in a hundred class folders.

    Arguments and layouts are those of ``CIFAR10Split``.
    """

    METAINFO = {"classes": CIFAR100_CATEGORIES}
    DATA_NAME = "CIFAR-100"
    DATA_HELP = CIFAR100
    FOLDER = "cifar-100-python"
    TRAIN_FILES = ("train",)
    TEST_FILES = ("test",)
    LABELS = "fine_labels"
