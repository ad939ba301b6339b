"""Find the checkpoint to continue from, and check before a run that it can be read."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import torch

__all__ = ["check_checkpoint", "find_last_checkpoint", "is_remote"]


def is_remote(path: str) -> bool:
    """Whether MMEngine downloads the checkpoint (``https://``, ``torchvision://``, ...)."""
    return "://" in path


def check_checkpoint(path: str) -> None:
    """Reject checkpoint files that are missing, truncated or of another format.

    A checkpoint is a zip archive with its directory at the end, so a truncated file is detected
    without reading the weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a complete checkpoint.
    """
    if is_remote(path):
        return
    file = Path(path).expanduser()
    if not file.is_file():
        problem = "is a folder" if file.is_dir() else "does not exist"
        raise FileNotFoundError(f"checkpoint {path!r} {problem}; give the path of a .pth file")
    if not os.access(file, os.R_OK):
        raise PermissionError(f"checkpoint {path!r} may not be read; change its permissions")
    if not _is_complete(file):
        raise ValueError(
            f"checkpoint {path!r} is truncated or no checkpoint ({file.stat().st_size} bytes); "
            "use an earlier one, or copy or download it again"
        )


def find_last_checkpoint(work_dir: str) -> str | None:
    """The newest checkpoint of a run according to MMEngine's ``last_checkpoint``, or None.

    The recorded path may be relative to another working directory, or the folder may have been
    moved; then the file of that name in ``work_dir`` is used. The note is empty if the process was
    killed while it wrote it; then the newest ``epoch_*.pth`` or ``iter_*.pth`` is used.

    Raises:
        FileNotFoundError: If the recorded checkpoint does not exist.
    """
    note = Path(work_dir) / "last_checkpoint"
    if not note.is_file():
        return None
    noted = note.read_text("utf-8").strip() or _newest_name(Path(work_dir))
    inside = Path(work_dir) / Path(noted).name
    for candidate in (inside, Path(noted)):
        if noted and candidate.is_file():
            return str(candidate)
    raise FileNotFoundError(
        f"{str(note)!r} names {noted!r}, which does not exist; name a checkpoint by "
        "--resume CHECKPOINT"
    )


def _newest_name(folder: Path) -> str:
    periodic = (re.fullmatch(r"(?:epoch|iter)_(\d+)\.pth", file.name) for file in folder.iterdir())
    found = [(int(match[1]), match[0]) for match in periodic if match]
    return max(found)[1] if found else ""


def _is_complete(file: Path) -> bool:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return any(name.rsplit("/", 1)[-1] == "data.pkl" for name in archive.namelist())
    with file.open("rb") as stream:
        if stream.read(4) == b"PK\x03\x04":  # starts like an archive but lacks the directory
            return False
    try:
        # The format before torch 1.6. MMEngine will read it the same way.
        torch.load(file, map_location="cpu", weights_only=False)
    except Exception:
        # The unpickler may raise any exception on invalid data.
        return False
    return True
