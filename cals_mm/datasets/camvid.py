"""CamVid in its 11-class form, with a held-out part of train for the multipliers."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.registry import DATASETS

from .held_out import HeldOutFoldDataset
from .missing_data import CAMVID
from .splits import central_held_out

HELD_OUT_FRACTION = 0.2


@DATASETS.register_module()
class CamVid11(HeldOutFoldDataset):
    """CamVid road scenes with 11 classes; images are ``.png`` or ``.jpg``.

    CamVid consists of video frames one second apart. The held-out fold is the central fifth of
    each of the sequences (``0001TP``, ``0006R0``, ``0016E5``, the part of a name before the
    underscore): whole stretches, because neighbouring frames are nearly equal, and central ones,
    because the official val is such a stretch too, between training frames of 0016E5.

    Args:
        fold: ``'all'``, ``'fit'`` or ``'held_out'``.
        max_images: Keep that many images at even distances; None keeps all.
        img_suffix: Image suffix; None takes ``.png`` or ``.jpg``, whichever the folder has.
        **kwargs: Arguments of mmseg's ``BaseSegDataset``.

    Raises:
        ValueError: The data are missing, or no image is left.
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
        fold: str = "all",
        max_images: int | None = None,
        img_suffix: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(fold=fold, max_images=max_images, img_suffix=img_suffix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Finds the suffix of the images, then lists them."""
        self._check_folders()
        if self.img_suffix is None:
            folder = Path(self.data_prefix["img_path"])
            self.img_suffix = ".png" if any(folder.glob("*.png")) else ".jpg"
        return super().load_data_list()

    def held_out_names(self, names: Sequence[str]) -> frozenset[str]:
        """Chooses the central fifth of each sequence."""
        return central_held_out(names, HELD_OUT_FRACTION, lambda name: name.split("_")[0])
