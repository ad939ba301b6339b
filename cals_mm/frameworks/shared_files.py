"""Detect multipliers that would be learned on the test set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mmengine.registry import DATASETS

from .sampling import loaders_of
from .selections import data_info_of, full_init, has_data_info

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ["shared_files", "test_data_error"]


def test_data_error(shared: int | str) -> ValueError:
    """Make the error for multipliers that would be learned on test files.

    Args:
        shared: Number of such files, or 'all'.
    """
    return ValueError(
        f"{shared} validation files are test files too, and multipliers learned on them make the "
        "test results optimistic: hold out a part of the training set (--hold-out 0.1, "
        "add_cals(..., hold_out=0.1), or a val_dataloader of your own), or accept it with "
        "CALSMultiplierHook(allow_test_data=True) or --allow-test-data"
    )


def shared_files(runner: Runner) -> int:
    """Number of files that the validation and the test set of a runner have in common.

    The result is 0 if the data sets do not name their files, or if the test set is missing on this
    machine.
    """
    if runner._test_dataloader is None:
        return 0
    try:
        held_out = [file for one in loaders_of(runner.val_loop) for file in _files(one.dataset)]
        return len(set(held_out) & set(_files(_test_set(runner))))
    except Exception as error:
        # Data sets of other projects may raise any exception for a missing folder, list or package.
        # Errors of the test set itself are reported when it is tested on.
        reason = " ".join(str(error).split())
        runner.logger.warning(
            "the test set cannot be read now, so whether it shares files with the validation set "
            f"is not known ({type(error).__name__}: {reason})"
        )
        return 0


def _test_set(runner: Runner) -> Any:
    loader = runner._test_dataloader
    dataset = loader["dataset"] if isinstance(loader, Mapping) else loader.dataset
    return DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset


def _files(dataset: Any) -> Iterator[str]:
    if hasattr(dataset, "datasets"):
        for part in dataset.datasets:
            yield from _files(part)
    elif has_data_info(dataset):
        full_init(dataset)
        for index in range(len(dataset)):
            info = data_info_of(dataset, index)
            path = info.get("img_path", info.get("text_path"))
            if path is not None:
                yield os.path.realpath(path)
    elif hasattr(dataset, "dataset"):
        yield from _files(dataset.dataset)
