"""The held-out part of any training data set, or the rest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DATASETS

from cals_mm.frameworks.selections import data_info_of, full_init, metainfo_of, selected

from .hold_out import choose_held_out, group_samples

__all__ = ["HoldOutSplit"]


@DATASETS.register_module(force=True)  # in place of the lazy entry
class HoldOutSplit:
    """Train on one part of a training data set, validate on the other.

    Both parts use the same data set, with the training or the validation pipeline. No file is in
    both, groups of files are never divided, and the choice depends only on file names, so it is the
    same for all processes, resumed runs and machines.

    Args:
        dataset: Config of a data set of mmseg, mmpretrain or :mod:`cals_mm.text`, or of a
            ``ConcatDataset``, ``RepeatDataset`` or ``ClassBalancedDataset`` of some.
        split: 'train' for everything that is not held out, or 'val' for each held-out file once.
        fraction: Share of the files to hold out, in (0, 1).
        by: How files are grouped: 'dir', a regular expression, or None, see
            :func:`~cals_mm.datasets.hold_out.group_samples`.
        seed: Seed of the choice.
        lazy_init: Defer reading the data set until it is needed.

    Raises:
        ValueError: For an invalid argument, a training set that is too small, or samples without a
            file.

    Example:
        >>> val = dict(type="HoldOutSplit", split="val", fraction=0.1,
        ...            dataset=dict(type="CityscapesDataset", data_root="data/cityscapes"))
    """

    def __init__(
        self,
        dataset: Any,
        split: str,
        fraction: float = 0.1,
        by: str | None = None,
        seed: int = 0,
        lazy_init: bool = False,
    ) -> None:
        if split not in ("train", "val"):
            raise ValueError(f"split must be 'train' or 'val', got {split!r}")
        if not 0 < fraction < 1:
            raise ValueError(f"hold_out must be a fraction between 0 and 1, got {fraction}")
        if isinstance(dataset, Mapping):
            dataset = DATASETS.build(dict(dataset))
        self.dataset = dataset
        self.split = split
        self.fraction = fraction
        self.by = by
        self.seed = seed
        self._indices: np.ndarray | None = None
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """The ``metainfo`` of the data set."""
        return metainfo_of(self.dataset)

    def full_init(self) -> None:
        """Read the data set and choose the samples, once."""
        if self._indices is not None:
            return
        full_init(self.dataset)
        files, labels = zip(*_samples(self.dataset), strict=True)
        names = _relative(files)
        labelled = all(label is not None for label in labels)
        groups = group_samples(list(dict.fromkeys(names)), self.by, labelled)
        of_name = dict(zip(names, labels, strict=True)) if labelled else None
        held_out = choose_held_out(groups, self.fraction, self.seed, of_name)
        if self.split == "train":
            kept = [index for index, name in enumerate(names) if name not in held_out]
        else:
            first: dict[str, int] = {}
            for index, name in enumerate(names):
                first.setdefault(name, index)
            kept = sorted(first[name] for name in held_out)
            self._say(groups, held_out)
        self._indices = np.asarray(kept, dtype=np.int64)

    def _say(self, groups: Mapping[str, str], held_out: frozenset[str]) -> None:
        if not is_main_process():
            return
        chosen = sorted({groups[name] for name in held_out})
        whole = ""
        if len(chosen) < len(held_out):
            some = ", ".join(chosen[:8]) + (", ..." if len(chosen) > 8 else "")
            whole = f", {len(chosen)} of {len(set(groups.values()))} groups ({some})"
        for line in (
            f"Held out for validation: {len(held_out)} of {len(groups)} training samples{whole}; "
            "the test set stays the test set",
            "To hold out otherwise: --hold-out FRACTION, --hold-out-by dir or a regular "
            "expression, or a val_dataloader of your own",
        ):
            print_log(line, logger="current" if MMLogger._instance_dict else None)

    @property
    def indices(self) -> np.ndarray:
        """Indices kept of the data set, ascending int64."""
        self.full_init()
        assert self._indices is not None
        return self._indices

    @property
    def lengths(self) -> np.ndarray:
        """Number of words in each kept text, (N,), if the data set holds texts."""
        lengths: np.ndarray = np.asarray(self.dataset.lengths)[self.indices]
        return lengths

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Annotation of a kept sample."""
        return data_info_of(self.dataset, int(self.indices[idx]))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of a kept sample."""
        dataset, index = selected(self.dataset, int(self.indices[idx]))
        labels: list[int] = dataset.get_cat_ids(index)
        return labels

    def get_gt_labels(self) -> np.ndarray:
        """Labels of the kept samples of a classifier, (N,) int64."""
        return np.array([self.get_cat_ids(index)[0] for index in range(len(self))])

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[int(self.indices[idx])]

    def __len__(self) -> int:
        return len(self.indices)


def _samples(dataset: Any) -> Iterator[tuple[str, int | None]]:
    """Yield file and label of each sample of a data set; None unless it has a single label."""
    if hasattr(dataset, "datasets"):
        for part in dataset.datasets:
            yield from _samples(part)
    elif hasattr(dataset, "times"):
        yield from list(_samples(dataset.dataset)) * dataset.times
    else:
        for index in range(len(dataset)):
            info = data_info_of(dataset, index)
            label: Any = info.get("gt_label")
            yield (
                _file(info, dataset),
                int(label) if np.ndim(label) == 0 and label is not None else None,
            )


def _file(info: Mapping[str, Any], dataset: Any) -> str:
    """Path of a sample, or a hash of its pixels if a file holds many samples."""
    path = info.get("img_path") or info.get("text_path")
    if path is not None:
        name: str = os.path.realpath(path)
        return name
    if isinstance(info.get("img"), np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(info["img"]).tobytes()).hexdigest()
    raise ValueError(
        f"cannot hold out a part of {type(dataset).__name__}, whose samples name no file (img_path "
        f"or text_path; there is: {', '.join(info)}): set val_dataloader to held-out data"
    )


def _relative(files: tuple[str, ...]) -> list[str]:
    """Paths relative to their common folder, so that the location of the data does not matter."""
    folders = {os.path.dirname(file) for file in files}
    root = os.path.commonpath(folders) if all(map(os.path.isabs, folders)) else ""
    return [os.path.relpath(file, root).replace(os.sep, "/") if root else file for file in files]
