"""PASCAL VOC 2012 with a held-out part of train for the multipliers."""

from collections.abc import Sequence
from typing import Any

from mmengine.registry import DATASETS
from mmseg.datasets import PascalVOCDataset

from .held_out import HeldOutDataset
from .missing_data import VOC12
from .split_names import Split
from .splits import random_held_out

__all__ = ["PascalVOC12Fold"]

# 293 of 1464 training images, as in the CALS paper: 1171 are left to train on.
HELD_OUT_FRACTION = 293 / 1464


@DATASETS.register_module()
class PascalVOC12Fold(HeldOutDataset):
    """PASCAL VOC 2012 segmentation in the layout of ``VOCdevkit/VOC2012``.

    VOC's images are independent photographs, so a seeded permutation chooses those held out.

    Args:
        ann_file: List of image names, e.g. ``'ImageSets/Segmentation/train.txt'``.
        split: ``'train'`` or ``'val'``; with ``'test'`` or None, all images of the folder.
        max_images: Number of images to keep, evenly spaced. None keeps all.
        split_seed: Seed of the permutation that chooses the held-out images.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.

    Raises:
        ValueError: If the data are missing, or no image is left.
    """

    METAINFO = PascalVOCDataset.METAINFO
    DATA_NAME = "PASCAL VOC 2012"
    DATA_HELP = VOC12

    def __init__(
        self,
        ann_file: str,
        split: Split | None = None,
        max_images: int | None = None,
        split_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self.split_seed = split_seed
        super().__init__(ann_file=ann_file, split=split, max_images=max_images, **kwargs)

    def held_out_names(self, names: Sequence[str]) -> frozenset[str]:
        """Choose a fifth of the images at random, always the same ones."""
        count = round(HELD_OUT_FRACTION * len(names))
        return random_held_out(names, count, self.split_seed)
