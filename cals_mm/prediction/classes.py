"""Names and colours of the classes."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from .pipeline import test_dataset

__all__ = ["Classes", "find_classes"]


@dataclass(frozen=True)
class Classes:
    """Names and colours of the classes; those that are not known are made up.

    Example:
        >>> classes = Classes(("sky", "road"), ((0, 0, 255), (90, 90, 90)))
        >>> classes.name(1), classes.name(2), classes.colours(2)
        ('road', '2', [(0, 0, 255), (90, 90, 90)])
    """

    names: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    """Red, green and blue in 0..255."""

    def name(self, label: int) -> str:
        """Name of a class, or its number."""
        return self.names[label] if label < len(self.names) else str(label)

    def colours(self, count: int) -> list[tuple[int, int, int]]:
        """Colours of the first ``count`` classes."""
        return [self.palette[k] if k < len(self.palette) else _made_up(k) for k in range(count)]


def find_classes(cfg: Config, checkpoint: Mapping[str, Any]) -> Classes:
    """Classes as noted in the checkpoint, or else those of the config's test data set."""
    meta = checkpoint.get("meta", {}).get("dataset_meta") or {}
    if not meta.get("classes"):
        dataset = test_dataset(cfg)
        known = DATASETS.get(dataset["type"]) if isinstance(dataset.get("type"), str) else None
        meta = {**getattr(known, "METAINFO", {}), **(dataset.get("metainfo") or {})}
    names = tuple(str(name) for name in meta.get("classes") or ())
    palette = tuple((int(r), int(g), int(b)) for r, g, b in meta.get("palette") or ())
    return Classes(names, palette)


def _made_up(label: int) -> tuple[int, int, int]:
    hue = label * 0.618034 % 1  # the golden ratio keeps neighbours apart
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.55 + 0.4 * (label % 2))
    return int(255 * red), int(255 * green), int(255 * blue)
