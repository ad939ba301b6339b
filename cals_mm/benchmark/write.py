"""The files of results, each either the old one or the complete new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cals_mm import runs

from .table import markdown, results_csv

__all__ = ["write_results"]


def write_results(results: Mapping[str, Any], html: str, folder: Path) -> list[Path]:
    """Write ``results.md``, ``.csv``, ``.json`` and ``.html``.

    Those of the last epoch's checkpoints are named ``results-last``.

    Args:
        results: As of :func:`~cals_mm.benchmark.collect`.
        html: The report.
        folder: Folder to write to.

    Returns:
        The files.
    """
    stem = "results" if results["checkpoint"] == "best" else f"results-{results['checkpoint']}"
    texts = {".md": markdown(results), ".csv": results_csv(results), ".html": html}
    for suffix, text in texts.items():
        write_text(folder / f"{stem}{suffix}", text)
    runs.write_json(str(folder / f"{stem}.json"), results)
    return [folder / f"{stem}{suffix}" for suffix in (*texts, ".json")]


def write_text(file: Path, text: str) -> None:
    """Write a text file that is the old or the complete new one, whenever it is read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=".text-", delete=False
    ) as stream:
        stream.write(text)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, file)
