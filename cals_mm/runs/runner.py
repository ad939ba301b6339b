"""Build the runner of a config, and explain missing data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import URLError

from mmengine.config import Config
from mmengine.registry import RUNNERS

from .config_file import import_modules
from .data_root import LOADERS, explain_missing_data
from .pretrained import explain_missing_weights

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ["build_runner", "data_explained"]

# Raised by the frameworks' data sets for missing folders.
MISSING_DATA_ERRORS = (OSError, RuntimeError, AssertionError)


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config, MMEngine's unless ``runner_type`` names another.

    Raises:
        ImportError: If a module of the config's ``custom_imports`` cannot be imported.
    """
    from mmengine.runner import Runner

    import_modules(cfg)
    return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


@contextmanager
def data_explained(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> Iterator[None]:
    """Turn errors about missing data or weights into errors that say what is expected.

    The folders are checked only after an error, because a data set may create its data on first
    use.

    Args:
        cfg: The config that is run.
        loaders: Names of the loaders that the run needs.

    Raises:
        FileNotFoundError: If such an error was raised and a data folder is missing.
        ConnectionError: If pretrained weights could not be fetched.
    """
    try:
        yield
    except URLError as error:  # an OSError too
        explanation = explain_missing_weights(cfg)
        if explanation is None:
            raise
        raise ConnectionError(f"{explanation} ({error.reason})") from error
    except MISSING_DATA_ERRORS as error:
        explanation = explain_missing_data(cfg, loaders)
        if explanation is None:
            raise
        raise FileNotFoundError(explanation) from error
