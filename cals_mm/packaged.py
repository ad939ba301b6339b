"""The project's configs and tools, which a wheel carries in ``cals_mm/.mim`` as OpenMMLab's do.

In a checkout ``.mim`` holds links to ``configs`` and ``tools``.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

__all__ = ["PACKAGED", "config_file", "leave_scope", "register_configs"]

PACKAGED = Path(__file__).resolve().parent / ".mim"
"""Folder with ``configs`` and ``tools``."""

SCOPE = "cals_mm"


def register_configs() -> None:
    """Tell MMEngine that ``_base_ = 'cals_mm::cals/NAME.py'`` means a config of this package."""
    # Imported here: the paths are known without MMEngine too.
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE.setdefault(SCOPE, SCOPE)


def config_file(path: str) -> Path:
    """Find a config file by its path, or else a packaged one by its name.

    Args:
        path: ``my/config.py``, ``configs/cals/NAME.py`` or ``cals_mm::cals/NAME.py``.

    Raises:
        FileNotFoundError: If there is no such file.

    Example:
        >>> config_file("cals_mm::cals/deeplabv3_demo.py").name
        'deeplabv3_demo.py'
    """
    file = Path(path)
    if file.is_file():
        return file
    packaged = _packaged(path)
    if packaged is not None:
        return packaged
    problem = "is a folder" if file.is_dir() else "does not exist"
    raise FileNotFoundError(
        f"config file {path!r} {problem}; give the path of a config file, or a packaged one such "
        f"as {_most_like(path)}"
    )


def leave_scope(value: Any) -> None:
    """Take back that MMEngine looks for the classes of ``_base_ = 'cals_mm::...'`` in this package.

    They are those of the frameworks, by the ``default_scope`` of the config.
    """
    if isinstance(value, dict):
        if value.get("_scope_") == SCOPE:
            del value["_scope_"]
        for item in value.values():
            leave_scope(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            leave_scope(item)


def _most_like(name: str) -> str:
    """Name of the packaged config that may have been meant."""
    folder = PACKAGED / "configs"
    names = [
        file.relative_to(folder).as_posix()
        for method in ("cals", "ce")
        for file in sorted((folder / method).glob("*.py"))
    ]
    inner = name.removeprefix(f"{SCOPE}::").removeprefix("configs/")
    found = get_close_matches(inner, names, n=1) or ["cals/deeplabv3_demo.py"]
    return f"{SCOPE}::{found[0]}"


def _packaged(name: str) -> Path | None:
    for prefix in (f"{SCOPE}::", "configs/"):
        inner = Path(name.removeprefix(prefix))
        if name.startswith(prefix) and ".." not in inner.parts:
            file = PACKAGED / "configs" / inner
            return file if file.is_file() else None
    return None
