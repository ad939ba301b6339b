"""Versions, and what computes the loss on this machine: ``cals env``."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence

import torch

from cals_mm.functional.backends.report import report
from cals_mm.packaged import PACKAGED
from cals_mm.version import __version__

__all__ = ["main", "versions"]

PACKAGES = {
    "mmengine": ("onedl-mmengine", "mmengine"),
    "mmcv": ("onedl-mmcv", "mmcv", "mmcv-lite"),
    "mmseg": ("onedl-mmsegmentation", "mmsegmentation"),
    "mmpretrain": ("onedl-mmpretrain", "mmpretrain"),
}
"""Distributions that provide a package, by its import name."""


def versions() -> dict[str, str]:
    """Version of each relevant package, or 'not installed'."""
    found = {"cals_mm": __version__, "python": sys.version.split()[0], "torch": torch.__version__}
    for name, distributions in PACKAGES.items():
        found[name] = "not installed"
        for distribution in distributions:
            try:
                version = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
            found[name] = f"{version} ({distribution})"
            break
    return found


def main(argv: Sequence[str] = ()) -> int:
    """Print one line for each fact.

    Args:
        argv: Takes no arguments.

    Returns:
        Exit code: 0, or 2 for an argument or a wrong ``CALS_MM_BACKEND``.
    """
    try:
        if argv:
            raise ValueError(f"env takes no arguments, got {' '.join(argv)}")
        facts = {**versions(), **report(), "configs and tools": str(PACKAGED)}
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0
