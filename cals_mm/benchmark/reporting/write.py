"""Write the files of results atomically."""

from __future__ import annotations

from pathlib import Path

from cals_mm import files

from .results import Results
from .stored import store_results
from .table import markdown, results_csv

__all__ = ["results_file", "write_results"]


def results_file(results: Results, folder: Path) -> Path:
    """The stored file in a folder; results of the last epoch's checkpoints have their own."""
    stem = "results" if results.checkpoint == "best" else f"results-{results.checkpoint}"
    return folder / f"{stem}.json"


def write_results(results: Results, html: str, folder: Path) -> list[Path]:
    """Write ``results.md``, ``.csv``, ``.json`` and ``.html``.

    Args:
        results: Results from :func:`~cals_mm.benchmark.collect`.
        html: The report.
        folder: Folder to write to.

    Returns:
        The files.
    """
    stored = results_file(results, folder)
    texts = {".md": markdown(results), ".csv": results_csv(results), ".html": html}
    for suffix, text in texts.items():
        files.write_text(stored.with_suffix(suffix), text)
    store_results(results, stored)
    return [*(stored.with_suffix(suffix) for suffix in texts), stored]
