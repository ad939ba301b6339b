"""See by their paths whether the files of a data set are there, before it is imported and built."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from . import missing_data
from .missing_data import missing_data_error

__all__ = ["EXPECTED", "Expected", "find_missing_data", "named_paths"]


class Expected(NamedTuple):
    """What a data set reads."""

    name: str
    """Name of the data set."""
    instructions: tuple[str, str]
    """Expected layout and how to get it."""
    unnamed: tuple[str, ...] = ()
    """Paths under the data root, of which one must exist if the config names none. {split} stands
    for the split, {official} for the folder that it is a part of."""


EXPECTED = {
    "CamVid11": Expected("CamVid", missing_data.CAMVID),
    "CityscapesCities": Expected("Cityscapes", missing_data.CITYSCAPES),
    "PascalVOC12Fold": Expected("PASCAL VOC 2012", missing_data.VOC12),
    "CIFAR10Split": Expected(
        "CIFAR-10",
        missing_data.CIFAR10,
        ("train", "cifar-10-batches-py/data_batch_1", "data_batch_1"),
    ),
    "CIFAR100Split": Expected(
        "CIFAR-100", missing_data.CIFAR100, ("train", "cifar-100-python/train")
    ),
    "ImageNet": Expected("ImageNet", missing_data.IMAGENET, ("{split}",)),  # mmpretrain's
    "ImageNetSplit": Expected("ImageNet", missing_data.IMAGENET, ("{official}",)),
    "ImageNetLT": Expected(
        "ImageNet-LT",
        missing_data.IMAGENET_LT,
        ("ImageNet_LT_{split}.txt", "ImageNet_LT/ImageNet_LT_{split}.txt"),
    ),
    "TinyImageNetSplit": Expected("Tiny-ImageNet", missing_data.TINY_IMAGENET, ("train",)),
}
"""Data sets that neither make nor download their files, by the name of their class."""


def find_missing_data(name: str, options: Mapping[str, Any]) -> ValueError | None:
    """Make the error for a data set whose files are not there.

    Args:
        name: Name of its class.
        options: Its arguments in a config.

    Returns:
        The ``ValueError`` to raise; None if nothing is missing, or nothing is known about such a
        data set.

    Example:
        >>> options = dict(split="train", data_root="data/nowhere")
        >>> str(find_missing_data("ImageNetSplit", options)).split(":")[0]
        'no ImageNet data at data/nowhere/train'
    """
    expected = EXPECTED.get(name)
    if expected is None:
        return None
    root = os.path.expanduser(options.get("data_root") or "")
    for paths in _needed(expected, options):
        places = [os.path.join(root, path) for path in paths]
        if not any(map(os.path.exists, places)):
            return missing_data_error(expected.name, places[0], root or ".", expected.instructions)
    return None


def named_paths(options: Mapping[str, Any]) -> list[str]:
    """Folders and lists under the data root that the config of a data set names."""
    prefix = options.get("data_prefix")
    values = [*(prefix.values() if isinstance(prefix, Mapping) else [prefix])]
    return [path for path in (*values, options.get("ann_file")) if path and isinstance(path, str)]


def _needed(expected: Expected, options: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield alternatives of paths; one of each must exist."""
    named = named_paths(options)
    yield from ((path,) for path in named)
    if expected.unnamed and not named:
        split = options.get("split") or ""
        official = "train" if split == "train" else "val"
        yield tuple(path.format(split=split, official=official) for path in expected.unnamed)
