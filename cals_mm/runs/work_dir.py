"""The folder a run writes to: chosen, checked, never overwritten."""

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
    """The config's own folder, or one by its path: a model has one for each method.

    Args:
        cfg: The config.
        config_file: Where it was read from.
        method: What it is trained with instead of its own loss.
    """
    path = Path(config_file).resolve()
    return cfg.get("work_dir") or os.path.join("work_dirs", method or path.parent.name, path.stem)


def prepare_work_dir(
    cfg: Config, config_file: str, work_dir: str | None, method: str | None = None
) -> str:
    """Set ``cfg.work_dir`` and check that it can be written, before anything is trained.

    The command line wins over the config, which wins over ``work_dirs/<folder>/<name>``, or
    ``work_dirs/<method>/<name>`` where a method is given.

    Raises:
        ValueError: If the folder cannot be made or written.
    """
    folder = work_dir or default_work_dir(cfg, config_file, method)
    folder = os.path.abspath(os.path.expanduser(folder))
    check_writable(folder)
    cfg.work_dir = folder
    return folder


def check_writable(folder: str, option: str = "--work-dir") -> None:
    """Make a folder where missing, and try to write to it.

    Args:
        folder: The folder.
        option: What chooses another one, for the message.

    Raises:
        ValueError: If it cannot be made or written.
    """
    try:
        files.probe(folder)
    except OSError as error:
        raise ValueError(
            f"cannot write to {folder!r} ({error.strerror}); choose another folder by {option}"
        ) from error


@contextmanager
def written_by(option: str) -> Iterator[None]:
    """Let an error of writing name the file and the option that gives another.

    Raises:
        ValueError: If a file cannot be written in the block, because the disk is full say.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"cannot write {error.filename!r} ({error.strerror}); make room, or give another file "
            f"by {option}"
        ) from error


def refuse_to_overwrite(work_dir: str, cure: str) -> None:
    """Refuse to start anew in a folder with checkpoints: the new run would replace them.

    Args:
        work_dir: The folder.
        cure: What to do about the checkpoints in it, for the message.

    Raises:
        ValueError: If the folder holds checkpoints.
    """
    found = sorted(Path(work_dir).glob("*.pth"))
    if found:
        raise ValueError(
            f"{work_dir!r} holds checkpoints of another run ({found[-1].name}); {cure}, or choose "
            "another folder by --work-dir"
        )
