"""Choose and check the folder a run writes to, without overwriting other runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from cals_mm import files

__all__ = [
    "check_writable",
    "default_work_dir",
    "prepare_work_dir",
    "refuse_to_overwrite",
    "written_by",
]


def default_work_dir(cfg: Config, config_file: str, method: str | None = None) -> str:
    """Default work dir of a config: its own, or one that depends on its path and method.

    Args:
        cfg: The config.
        config_file: File it was read from, or name of the packaged config.
        method: Method it is trained with instead of its own loss.
    """
    path = Path(config_file.rpartition("::")[2]).resolve()
    return cfg.get("work_dir") or os.path.join("work_dirs", method or path.parent.name, path.stem)


def prepare_work_dir(
    cfg: Config, config_file: str, work_dir: str | None, method: str | None = None
) -> str:
    """Set ``cfg.work_dir``, and check before training that it can be written.

    The command line overrides the config, which overrides ``work_dirs/<folder>/<name>``, or
    ``work_dirs/<method>/<name>`` if a method is given.

    Raises:
        ValueError: If the folder cannot be created or written.
    """
    folder = work_dir or default_work_dir(cfg, config_file, method)
    folder = os.path.abspath(os.path.expanduser(folder))
    check_writable(folder)
    cfg.work_dir = folder
    return folder


def check_writable(folder: str, option: str = "--work-dir") -> None:
    """Create a folder if necessary, and try to write to it.

    Args:
        folder: The folder.
        option: Option that selects another folder, for the message.

    Raises:
        ValueError: If it cannot be created or written.
    """
    try:
        files.probe(folder)
    except OSError as error:
        raise ValueError(
            f"cannot write to {folder!r} ({error.strerror}); choose another folder by {option}"
        ) from error


@contextmanager
def written_by(option: str) -> Iterator[None]:
    """Turn write errors in the block into ones that name the file and the option to change it.

    Raises:
        ValueError: If a file cannot be written, e.g. because the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"cannot write {error.filename!r} ({error.strerror}); make room, or give another file "
            f"by {option}"
        ) from error


def refuse_to_overwrite(work_dir: str, cure: str) -> None:
    """Refuse to start a new run in a folder with checkpoints, which it would overwrite.

    Args:
        work_dir: The folder.
        cure: What to do with the checkpoints, for the message.

    Raises:
        ValueError: If the folder holds checkpoints.
    """
    found = sorted(Path(work_dir).glob("*.pth"))
    if found:
        raise ValueError(
            f"{work_dir!r} holds checkpoints of another run ({found[-1].name}); {cure}, or choose "
            "another folder by --work-dir"
        )
