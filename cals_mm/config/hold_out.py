"""Hold out a part of the training data of a config that validates on its test set."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

from .loss_site import type_name

__all__ = ["counts_iterations", "hold_out_training_data", "shares_test_files"]

# Wrappers that return the files of a data set more than once, or several at a time.
REPEATING = ("RepeatDataset", "ClassBalancedDataset", "MultiImageMixDataset")
# Keys in which two configs of a data set may differ and still read the same files.
READING = ("pipeline", "lazy_init", "metainfo", "serialize_data", "max_refetch")


def shares_test_files(cfg: Config) -> bool:
    """Whether the config has the same data set for validation and for test.

    Only the config is read, not the data; the hook finds single files that both lists share when
    the run starts.
    """
    val, test = (
        {
            _source(leaf)
            for loader in _loaders(cfg, f"{split}_dataloader")
            for leaf in _leaves(loader.get("dataset"))
        }
        for split in ("val", "test")
    )
    return bool(val & test)


def _loaders(cfg: Config, key: str) -> list[Any]:
    """A data loader of a config, or several, as a list."""
    found = cfg.get(key) or []
    return list(found) if isinstance(found, (list, tuple)) else [found]


def hold_out_training_data(
    cfg: Config, fraction: float, by: str | None = None, seed: int = 0
) -> None:
    """Change a config so that a part of its training data becomes the validation set.

    The training data set, with any wrappers, is put into a ``HoldOutSplit``; the validation reads
    the other part with its own pipeline. Iteration loops validate about once per epoch of the
    remaining data. The test set stays unchanged.

    Args:
        cfg: A config with ``train_dataloader`` and ``val_dataloader``.
        fraction: Share of the training samples to hold out, in (0, 1).
        by: How samples are grouped; a group is never divided. 'dir', a regular expression, or None,
            see ``HoldOutSplit``.
        seed: Seed of the choice.

    Raises:
        ValueError: For a fraction outside (0, 1), or a config whose training data or validation
            pipeline cannot be found.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"hold_out must be a fraction between 0 and 1, got {fraction}")
    loaders = [cfg.get("train_dataloader"), cfg.get("val_dataloader")]
    if not all(isinstance(loader, dict) and loader.get("dataset") for loader in loaders):
        raise ValueError(
            "cannot hold out training data: train_dataloader and val_dataloader must each have one "
            "dataset; set val_dataloader to held-out data instead"
        )
    train, val = (loader.dataset for loader in loaders)
    pipelines = [leaf["pipeline"] for leaf in _leaves(val) if leaf.get("pipeline") is not None]
    if not pipelines:
        raise ValueError(
            "cannot hold out training data: the dataset of val_dataloader has no pipeline to read "
            "it with; set one"
        )
    options = {"type": "HoldOutSplit", "fraction": fraction, "by": by, "seed": seed}
    held_out = ConfigDict(options, split="val", dataset=_once(train, pipelines[0]))
    # The loader may be the same object as that of the test set.
    cfg.val_dataloader = ConfigDict({**cfg.val_dataloader, "dataset": held_out})
    cfg.train_dataloader = ConfigDict({**cfg.train_dataloader, "dataset": _fit(train, options)})
    if counts_iterations(cfg.get("train_cfg") or {}):
        cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), {"type": "EpochValidationHook"}]


def _fit(dataset: Any, options: dict[str, Any]) -> Any:
    """The training part; wrappers that mix images must not see the held-out ones."""
    if type_name(dataset) == "MultiImageMixDataset":
        return ConfigDict({**dataset, "dataset": _fit(dataset.dataset, options)})
    return ConfigDict(options, split="train", dataset=dataset)


def _once(dataset: Any, pipeline: Any) -> Any:
    """The data set with each file once, read with another pipeline."""
    if type_name(dataset) in REPEATING:
        return _once(dataset.dataset, pipeline)
    changed = ConfigDict(copy.deepcopy(dict(dataset)))
    for key in ("dataset", "datasets"):
        inner = changed.get(key)
        if isinstance(inner, (list, tuple)):
            changed[key] = [_once(part, pipeline) for part in inner]
            return changed
        if inner is not None:
            changed[key] = _once(inner, pipeline)
            return changed
    changed["pipeline"] = copy.deepcopy(pipeline)
    return changed


def _leaves(dataset: Any) -> Iterator[Any]:
    """Yield the data sets inside the wrappers."""
    if isinstance(dataset, (list, tuple)):
        for part in dataset:
            yield from _leaves(part)
    elif isinstance(dataset, dict):
        inner = dataset.get("dataset") or dataset.get("datasets")
        if inner:
            yield from _leaves(inner)
        else:
            yield dataset


def _source(leaf: Any) -> str:
    """Text that identifies a set of files."""
    given = {key: value for key, value in leaf.items() if key not in READING}
    return repr(sorted({**given, "type": type_name(leaf)}.items()))


def counts_iterations(train_cfg: Any) -> bool:
    """Whether a training's loop counts iterations rather than epochs."""
    return type_name(train_cfg) == "IterBasedTrainLoop" or train_cfg.get("by_epoch") is False
