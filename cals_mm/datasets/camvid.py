"""CamVid in its 11-class form, with a held-out part of train for the multipliers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from .held_out import HeldOutDataset
from .missing_data import CAMVID
from .split_names import Split
from .splits import central_held_out

__all__ = ["CamVid11"]

HELD_OUT_FRACTION = 0.2


@DATASETS.register_module()
class CamVid11(HeldOutDataset):
    """CamVid road scenes with 11 classes; images are ``.png`` or ``.jpg``.

    CamVid consists of video frames one second apart. The val split is the central fifth of each
    sequence (``0001TP``, ``0006R0``, ``0016E5``, the part of a name before the underscore). It is
    contiguous because neighbouring frames are nearly equal, and central like the official val
    split, which lies between training frames of 0016E5.

    Args:
        split: ``'train'`` or ``'val'``; with ``'test'`` or None, all images of the folder.
        max_images: Number of images to keep, evenly spaced. None keeps all.
        img_suffix: Image suffix. None means ``.png`` or ``.jpg``, whichever exists.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.

    Raises:
        ValueError: If the data are missing, or no image is left.
    """

    METAINFO = {
        'classes': (
            'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign-symbol', 'fence', 'car',
            'pedestrian', 'bicyclist',
        ),
        'palette': [
            [128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222],
            [128, 128, 0], [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0],
            [0, 128, 192],
        ],
    }  # fmt: skip
    DATA_NAME = "CamVid"
    DATA_HELP = CAMVID

    img_suffix: str | None

    def __init__(
        self,
        split: Split | None = None,
        max_images: int | None = None,
        img_suffix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(split=split, max_images=max_images, img_suffix=img_suffix, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Find the suffix of the images, then list them."""
        self._check_folders()
        if self.img_suffix is None:
            folder = Path(self.data_prefix["img_path"])
            self.img_suffix = ".png" if any(folder.glob("*.png")) else ".jpg"
        return super().load_data_list()

    def held_out_names(self, names: Sequence[str]) -> frozenset[str]:
        """Choose the central fifth of each sequence."""
        return central_held_out(names, HELD_OUT_FRACTION, lambda name: name.split("_")[0])
