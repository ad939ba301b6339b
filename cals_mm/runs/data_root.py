"""Set the data folder of a config's data sets, and explain missing data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.config import Config

from cals_mm.config import type_name
from cals_mm.datasets.expected_files import named_paths

__all__ = ["data_roots", "data_sets", "explain_missing_data", "set_data_root"]

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def set_data_root(cfg: Config, data_root: str) -> None:
    """Replace ``data_root`` in all data sets of the three loaders, including wrapped ones.

    If the data sets have different roots, the part they share is replaced: ``data/vaihingen`` and
    ``data/potsdam`` become ``DIR/vaihingen`` and ``DIR/potsdam``. All other paths stay unchanged.

    Raises:
        FileNotFoundError: If ``data_root`` is not a folder.
        ValueError: If no data set has a ``data_root``, or the roots share no part.
    """
    if not os.path.isdir(data_root):
        raise FileNotFoundError(
            f"--data-root {data_root!r} is not a folder; give the data's folder"
        )
    datasets = [dataset for _, dataset in data_sets(cfg) if dataset.get("data_root")]
    if not datasets:
        raise ValueError(
            "--data-root found no data set with a data_root in the config; change its paths by "
            "--cfg-options train_dataloader.dataset.KEY=PATH"
        )
    # Loaders may share a dictionary, so read all roots before changing any.
    roots = [os.path.normpath(dataset["data_root"]) for dataset in datasets]
    try:
        shared = os.path.commonpath(roots)
    except ValueError:  # absolute and relative paths
        shared = ""
    if not shared:
        raise ValueError(
            f"--data-root cannot replace {', '.join(sorted(set(roots)))}, which share no folder; "
            "change them by --cfg-options"
        )
    for dataset, root in zip(datasets, roots, strict=True):
        inner = os.path.relpath(root, shared)
        dataset["data_root"] = data_root if inner == "." else os.path.join(data_root, inner)
    if isinstance(cfg.get("data_root"), str):
        cfg.data_root = data_root


def data_roots(cfg: Config) -> list[str]:
    """The ``data_root`` of each data set in the config that has one."""
    return [str(dataset["data_root"]) for _, dataset in data_sets(cfg) if dataset.get("data_root")]


def explain_missing_data(
    cfg: Config,
    loaders: tuple[str, ...] = LOADERS,
    among: Callable[[str], bool] = lambda name: True,
) -> str | None:
    """Say which data folder is missing and what belongs there; None if none is missing.

    Args:
        cfg: The config.
        loaders: Names of the loaders to look at.
        among: Whether to look at data sets of a class, by its name.
    """
    for loader, dataset in data_sets(cfg, loaders):
        root = dataset.get("data_root")
        remote = dataset.get("backend_args") or "://" in str(root)
        if not root or remote or not among(type_name(dataset)):
            continue
        expected = [os.path.join(root, path) for path in named_paths(dataset)]
        missing = [path for path in [root, *expected] if not os.path.exists(path)]
        if missing:
            needs = f" (expected: {', '.join(expected)})" if expected else ""
            return (
                f"the {loader} finds no {missing[0]!r}{needs}; prepare the data set as its "
                "framework's documentation says and pass its folder by --data-root DIR, or run "
                "`make demo`, which needs no data"
            )
    return None


def data_sets(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> Iterator[tuple[str, Any]]:
    """Yield the data sets of a config, including wrapped ones, with the name of their loader."""
    for loader in loaders:
        loader_cfg = cfg.get(loader)
        for part in loader_cfg if isinstance(loader_cfg, (list, tuple)) else [loader_cfg]:
            if part:
                for dataset in _unwrapped(part.get("dataset")):
                    yield loader, dataset


def _unwrapped(dataset: Any) -> Iterator[Any]:
    """Yield a data set and all data sets it wraps (ConcatDataset, RepeatDataset, ...)."""
    if isinstance(dataset, (list, tuple)):
        for part in dataset:
            yield from _unwrapped(part)
    elif isinstance(dataset, dict):
        yield dataset
        yield from _unwrapped(dataset.get("dataset"))
        yield from _unwrapped(dataset.get("datasets"))
