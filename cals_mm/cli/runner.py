"""Build the runner of a config, and say what is wrong when its data is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .data_root import LOADERS, explain_missing_data

__all__ = ["build_runner", "data_explained"]

# What the data sets of the frameworks raise about a missing folder.
MISSING_DATA_ERRORS = (OSError, RuntimeError, AssertionError)


def build_runner(cfg: Config) -> Runner:
    """Build the config's runner: MMEngine's, unless ``runner_type`` names another."""
    return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


@contextmanager
def data_explained(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> Iterator[None]:
    """Turn a data set's error about a missing folder into one that says what is expected.

    Only afterwards, because a config may make its data on first use.

    Args:
        cfg: The config that is run.
        loaders: The loaders whose data the run needs.

    Raises:
        FileNotFoundError: If such an error was raised and a data folder is missing.
    """
    try:
        yield
    except MISSING_DATA_ERRORS as error:
        explanation = explain_missing_data(cfg, loaders)
        if explanation is None:
            raise
        raise FileNotFoundError(explanation) from error
