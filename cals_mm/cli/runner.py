"""Build the runner of a config, and say what is wrong when its data is not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .data_root import LOADERS, explain_missing_data

__all__ = ["build_runner", "data_explained"]


def build_runner(cfg: Config) -> Runner:
    """Build the config's runner: MMEngine's, unless ``runner_type`` names another."""
    return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


@contextmanager
def data_explained(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> Iterator[None]:
    """Turn whatever goes wrong inside into a clear error if a data folder is missing.

    Only afterwards, because a config may make its data on first use. The data sets of the
    frameworks raise errors of many kinds about a missing folder.

    Args:
        cfg: The config that is run.
        loaders: The loaders whose data the run needs.

    Raises:
        FileNotFoundError: If something went wrong and a data folder is missing.
    """
    try:
        yield
    except Exception as error:
        explanation = explain_missing_data(cfg, loaders)
        if explanation is None:
            raise
        raise FileNotFoundError(explanation) from error
