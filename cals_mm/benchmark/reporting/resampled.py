"""Resampled figures of the tests of a run, computed once and kept in a small file.

With that file, the intervals need neither single logits nor the sums of single images any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cals_mm import files

from .bootstrap import DRAWS, POSITION, resampled_image_values, resampled_values

__all__ = ["resampled_figures"]

RESAMPLED = "resampled.pt"


def resampled_figures(
    folder: Path, kept: tuple[tuple[Path, Path], ...], temperature: float
) -> Tensor | None:
    """Resampled figures of a test, from the file in its folder if that is not older than the test.

    Args:
        folder: Folder of the test.
        kept: Files with the logits of single samples, or with the sums of single images, before
            and after scaling; several are averaged.
        temperature: What scales the logits.

    Returns:
        (draws, figures) float32, in the order of :data:`POSITION`; None if nothing was kept.
    """
    file = folder / RESAMPLED
    sources = [source for pair in kept for source in pair]
    made_of = {
        "names": list(POSITION),
        "draws": DRAWS,
        "files": [source.name for source in sources],
    }
    written = [source.stat().st_mtime_ns for source in sources if source.is_file()]
    if file.is_file() and file.stat().st_mtime_ns >= max(written, default=0):
        known = _read(file, file.stat().st_mtime_ns)
        if all(known.get(key) == value for key, value in made_of.items()):
            figures: Tensor = known["figures"]
            return figures
    if len(written) < len(sources):
        return None
    figures = torch.stack([_of_one(*pair, temperature) for pair in kept]).mean(0).float()
    with files.writing(file) as stream:
        torch.save({**made_of, "figures": figures}, stream)
    return figures


@cache
def _read(file: Path, written: int) -> dict[str, Any]:
    """Content of a file that was written at the given time."""
    content: dict[str, Any] = torch.load(file)
    return content


def _of_one(file: Path, scaled: Path, temperature: float) -> Tensor:
    """Resampled figures of logits, or of the sums of images before and after scaling."""
    content: Mapping[str, Tensor] = torch.load(file)
    if scaled != file:
        return resampled_image_values(content, torch.load(scaled), DRAWS)
    logits, target = content["logits"], content["target"]
    parts = [resampled_values(part, target, DRAWS) for part in (logits, logits / temperature)]
    return torch.cat(parts, 1)
