"""Are the multipliers about to be learned on the test set?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mmengine.registry import DATASETS
from mmengine.runner import Runner

__all__ = ["shared_files"]


def shared_files(runner: Runner) -> int:
    """Number of files that the validation and the test set of a runner have in common.

    Data sets that do not name their files, and test sets that are missing on this machine, count
    as different.
    """
    test = runner._test_dataloader
    if test is None:
        return 0
    dataset = test["dataset"] if isinstance(test, dict) else test.dataset
    if isinstance(dataset, dict):
        try:
            dataset = DATASETS.build(dataset)
        except (OSError, ValueError, KeyError):
            # A test set that cannot be read now will say so when it is tested on.
            return 0
    return len(set(_files(runner.val_dataloader.dataset)) & set(_files(dataset)))


def _files(dataset: Any) -> Iterator[str]:
    if hasattr(dataset, "datasets"):
        for part in dataset.datasets:
            yield from _files(part)
    elif hasattr(dataset, "get_data_info"):
        dataset.full_init()
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            path = info.get("img_path", info.get("text_path"))
            if path is not None:
                yield os.path.realpath(path)
    elif hasattr(dataset, "dataset"):
        yield from _files(dataset.dataset)
