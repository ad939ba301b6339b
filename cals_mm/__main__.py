"""``python -m cals_mm``: print versions, and what computes the loss on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import sys

import torch

from cals_mm.functional.backends.report import report
from cals_mm.version import __version__

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


def main() -> int:
    """Print one line for each fact."""
    try:
        facts = {**versions(), **report()}
    except ValueError as error:  # CALS_MM_BACKEND names none
        print(f"{os.path.basename(sys.executable)} -m cals_mm: {error}", file=sys.stderr)
        return 2
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
