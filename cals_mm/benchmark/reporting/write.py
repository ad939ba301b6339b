"""Write the files of results atomically."""

from __future__ import annotations

from pathlib import Path

from cals_mm import files

from .results import Results
from .stored import store_results
from .table import markdown, results_csv

__all__ = ["write_results"]


def write_results(results: Results, html: str, folder: Path) -> list[Path]:
    """Write ``results.md``, ``.csv``, ``.json`` and ``.html``.

    Results of the last epoch's checkpoints are named ``results-last``.

    Args:
        results: Results from :func:`~cals_mm.benchmark.collect`.
        html: The report.
        folder: Folder to write to.

    Returns:
        The files.
    """
    stem = "results" if results.checkpoint == "best" else f"results-{results.checkpoint}"
    texts = {".md": markdown(results), ".csv": results_csv(results), ".html": html}
    for suffix, text in texts.items():
        files.write_text(folder / f"{stem}{suffix}", text)
    store_results(results, folder / f"{stem}.json")
    return [folder / f"{stem}{suffix}" for suffix in (*texts, ".json")]
