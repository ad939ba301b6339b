"""The folder a run writes to: chosen, checked, never overwritten."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from mmengine.config import Config

__all__ = [
    "check_writable",
    "default_work_dir",
    "prepare_work_dir",
    "refuse_to_overwrite",
    "write_bytes",
    "write_json",
]


def default_work_dir(cfg: Config, config_file: str) -> str:
    """The config's own folder, or one by its path: a model has one for each method."""
    path = Path(config_file).resolve()
    return cfg.get("work_dir") or os.path.join("work_dirs", path.parent.name, path.stem)


def prepare_work_dir(cfg: Config, config_file: str, work_dir: str | None) -> str:
    """Set ``cfg.work_dir`` and check that it can be written, before anything is trained.

    The command line wins over the config, which wins over ``work_dirs/<folder>/<name>``.

    Raises:
        ValueError: If the folder cannot be made or written.
    """
    folder = work_dir or default_work_dir(cfg, config_file)
    folder = os.path.abspath(os.path.expanduser(folder))
    check_writable(folder)
    cfg.work_dir = folder
    return folder


def check_writable(folder: str) -> None:
    """Try it: permission bits say nothing to root, on full disks and on read-only mounts."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write to {folder!r} ({error.strerror}); choose another folder by --work-dir"
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


def write_json(path: str, values: Any) -> None:
    """Write a JSON file that is either the old or the complete new one, whenever it is read.

    NaN and infinite numbers, which JSON has no word for, become null; arrays become lists.
    """
    text = json.dumps(_plain(values), indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


def write_bytes(path: str, content: bytes) -> None:
    """Write a file that is either the old or the complete new one, whenever it is read."""
    folder = os.path.dirname(os.path.abspath(path))
    check_writable(folder)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".partial-", delete=False) as stream:
        stream.write(content)
    os.chmod(stream.name, 0o644)  # temporary files are private to their owner
    os.replace(stream.name, path)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and torch, arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
