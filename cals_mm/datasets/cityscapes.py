"""Cityscapes by cities, with held-out cities for the multipliers."""

from collections.abc import Sequence
from typing import Any

from mmengine.registry import DATASETS
from mmseg.datasets import CityscapesDataset

from .cityscapes_layout import HELD_OUT_CITIES, IMAGE_SUFFIX, LABEL_SUFFIX
from .held_out import HeldOutDataset
from .missing_data import CITYSCAPES
from .split_names import Split

__all__ = ["CityscapesCities"]


@DATASETS.register_module()
class CityscapesCities(HeldOutDataset, CityscapesDataset):
    """Cityscapes, restricted to some cities.

    The val split is the cities bochum, erfurt and ulm (300 of 2975 training images).

    Args:
        cities: Load these cities only; None loads all.
        exclude_cities: Leave these cities out.
        split: ``'train'`` or ``'val'``; with ``'test'`` or None, all images of the folder.
        max_images: Number of images to keep, evenly spaced. None keeps all.
        **kwargs: Arguments of mmseg's ``CityscapesDataset``.

    Raises:
        ValueError: If a city is not in the image folder, no image is left, or the data are missing.

    Example:
        >>> train = dict(
        ...     type="CityscapesCities", data_root="data/cityscapes", split="train",
        ...     data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"))
    """

    DATA_NAME = "Cityscapes"
    DATA_HELP = CITYSCAPES

    def __init__(
        self,
        cities: Sequence[str] | None = None,
        exclude_cities: Sequence[str] = (),
        split: Split | None = None,
        max_images: int | None = None,
        img_suffix: str = IMAGE_SUFFIX,
        seg_map_suffix: str = LABEL_SUFFIX,
        **kwargs: Any,
    ) -> None:
        for key, value in (("cities", cities), ("exclude_cities", exclude_cities)):
            if isinstance(value, str):
                raise ValueError(f"{key} is the text {value!r}: give a list of city names")
        self.cities = cities
        self.exclude_cities = exclude_cities
        super().__init__(
            split=split,
            max_images=max_images,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )

    def held_out_names(self, names: Sequence[str]) -> frozenset[str]:
        """Choose the images of the held-out cities."""
        return frozenset(name for name in names if _city(name) in HELD_OUT_CITIES)

    def select_names(self, names: Sequence[str]) -> list[str]:
        """Apply the cities, then the split."""
        present = sorted({_city(name) for name in names})
        for city in (*(self.cities or ()), *self.exclude_cities):
            if city not in present:
                raise ValueError(
                    f"unknown city {city!r} in {self.data_prefix['img_path']}: "
                    f"choose from {', '.join(present)}"
                )
        wanted = set(present if self.cities is None else self.cities) - set(self.exclude_cities)
        return super().select_names([name for name in names if _city(name) in wanted])


def _city(name: str) -> str:
    return name.split("/")[0]
