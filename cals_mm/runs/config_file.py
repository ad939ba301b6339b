"""Read a config file; whatever is wrong with it becomes an error of one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

__all__ = ["check_test_split", "load_config"]

SUFFIXES = (".py", ".json", ".yaml", ".yml")


def load_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and apply ``--cfg-options``.

    Args:
        path: Config file, relative to the working directory.
        options: Changes by dotted key.

    Raises:
        FileNotFoundError: If the file, or one that it builds on, does not exist.
        ValueError: If it is no config file, or cannot be executed.
    """
    file = Path(path)
    if not file.is_file():
        kind = "is a folder" if file.is_dir() else "does not exist"
        raise FileNotFoundError(f"config file {path!r} {kind}; give the path of a config file")
    if file.suffix not in SUFFIXES:
        raise ValueError(f"config file {path!r} must end in one of {', '.join(SUFFIXES)}")
    try:
        cfg = Config.fromfile(path)
    except (OSError, ImportError):
        raise  # names the missing file or package itself
    except Exception as error:
        # A config is a program: it may fail in any way.
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ValueError(
            f"config file {path!r} cannot be read{where}: {type(error).__name__}: {error}"
        ) from error
    if options:
        cfg.merge_from_dict(dict(options))
    if not isinstance(cfg.get("model"), ConfigDict):
        raise ValueError(f"config file {path!r} has no model; give the config of a training run")
    return cfg


def check_test_split(cfg: Config) -> None:
    """Refuse a config without a test split.

    Raises:
        ValueError: Naming what is missing.
    """
    for key in ("test_dataloader", "test_evaluator", "test_cfg"):
        if cfg.get(key) is None:
            raise ValueError(f"the config has no {key}, so there is nothing to test; set it")
