"""Find the files to predict."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["IMAGES", "TEXTS", "Input", "find_inputs", "natural_key"]

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Suffixes of the images in a folder."""
TEXTS = (".txt",)
"""Suffixes of the texts in a folder."""


class Input(NamedTuple):
    """A file to predict."""

    path: str
    name: str
    """Unique among the inputs: its path below the folder they share, usually without suffix."""


def natural_key(path: str) -> list[tuple[int, int, str]]:
    """Sort key for which numbers count as numbers, as in the names of video frames.

    Example:
        >>> sorted(["frame10.png", "frame9.png", "a.png"], key=natural_key)
        ['a.png', 'frame9.png', 'frame10.png']
    """
    parts = re.split(r"(\d+)", path)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def find_inputs(
    patterns: Sequence[str], suffixes: Sequence[str] = IMAGES, exclude: str | None = None
) -> list[Input]:
    """List the files that the patterns name, without repetitions.

    Args:
        patterns: Files, folders and globs (``**`` crosses folders). A folder stands for all files
            below it with one of the suffixes, a file for itself whatever its suffix. They are taken
            in the given order, those of a folder or glob in natural order; hidden ones are left
            out.
        suffixes: Of the files in a folder, in lower case.
        exclude: Folder of the results. What lies in it is left out, but for files that a pattern
            names.

    Raises:
        FileNotFoundError: If a pattern names nothing, or only files among the results.
    """
    paths: dict[str, str] = {}
    for pattern in patterns:
        found = _expand(os.path.expanduser(pattern), tuple(suffixes))
        if exclude is not None and found != [os.path.expanduser(pattern)]:
            inside = os.path.join(os.path.realpath(exclude), "")
            others = [path for path in found if not os.path.realpath(path).startswith(inside)]
            if found and not others:
                raise FileNotFoundError(
                    f"all files of {pattern!r} lie in the folder of the results, {exclude!r}; "
                    "choose another one"
                )
            found = others
        if not found:
            raise FileNotFoundError(
                f"{pattern!r} names no file to predict; give files, globs in quotes, or folders "
                f"of {', '.join(suffixes)}"
            )
        for path in found:
            paths.setdefault(os.path.abspath(path), path)
    return _named(list(paths.values()))


def _expand(pattern: str, suffixes: tuple[str, ...]) -> list[str]:
    if os.path.isfile(pattern):
        return [pattern]
    if os.path.isdir(pattern):
        files = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(pattern, followlinks=True)
            for name in names
            if name.lower().endswith(suffixes) and not _hidden(folder, name, pattern)
        ]
    else:
        files = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    return sorted(files, key=natural_key)


def _hidden(folder: str, name: str, root: str) -> bool:
    inner = Path(os.path.relpath(folder, root)).parts
    return any(part.startswith(".") for part in (*inner, name) if part != ".")


def _named(paths: Sequence[str]) -> list[Input]:
    absolute = [os.path.abspath(path) for path in paths]
    shared = os.path.commonpath([os.path.dirname(path) for path in absolute])
    whole = [os.path.relpath(path, shared) for path in absolute]
    short = [os.path.splitext(name)[0] for name in whole]
    times = Counter(short)
    return [
        Input(path, name if times[stem] > 1 else stem)
        for path, name, stem in zip(paths, whole, short, strict=True)
    ]
