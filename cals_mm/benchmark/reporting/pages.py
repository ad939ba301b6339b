"""Tables of the documentation, rendered from stored results between markers.

A marker names a file of results, a kind of table, and optionally the keys of its columns and the
methods (``methods=ce,cals``):

    <!-- table: camvid-80-last methods columns=mIoU,calibration/ECE -->
    ...
    <!-- end of table -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cals_mm.benchmark.plan import LATE_GAP, Column

from .reading import subject
from .results import BEST_OTHER, SCALED_REFERENCE, Results, Row
from .stored import read_results
from .table import choice_table, differences_table, method_table

__all__ = ["MARKER", "render"]

MARKER = re.compile(
    r"(?P<begin><!-- table: (?P<words>[^>]*?) -->\n)(?P<body>.*?)(?P<end><!-- end of table -->)",
    re.DOTALL,
)
# What differences are to, as one word.
_REFERENCES = {"ce": "ce", "ce+T": SCALED_REFERENCE, "best": BEST_OTHER}


def render(page: str, folder: Path) -> str:
    """Render all tables of a page anew; everything else stays as it is.

    Args:
        page: Text of the page.
        folder: Folder of the stored results.

    Raises:
        ValueError: If a marker names results or a kind of table that do not exist, or the end of a
            table is not marked.
    """
    begins, ends = page.count("<!-- table: "), page.count("<!-- end of table -->")
    found = MARKER.findall(page)
    if not begins == ends == len(found) or any("<!-- table: " in body for _, _, body, _ in found):
        raise ValueError(
            f"{begins} tables begin and {ends} end, which must alternate; end each with "
            "'<!-- end of table -->' on a line of its own"
        )
    return MARKER.sub(
        lambda found: found["begin"] + _table(found["words"].split(), folder) + "\n" + found["end"],
        page,
    )


def _table(words: Sequence[str], folder: Path) -> str:
    if len(words) < 2 or words[1] not in _KINDS:
        raise ValueError(
            f"a table is marked as {' '.join(words)!r}; needed are the name of the results and one "
            f"of {', '.join(_KINDS)}"
        )
    file = folder / f"{words[0]}.json"
    if not file.is_file():
        raise ValueError(f"there are no results {str(file)!r}; make them by tools/benchmark.py")
    results = read_results(file)
    options = dict(word.split("=", 1) for word in words[2:])
    unknown = set(options) - {"columns", "methods", "to"}
    if unknown:
        raise ValueError(f"unknown in the marker of a table: {', '.join(sorted(unknown))}")
    if "methods" in options:
        results = replace(results, rows=_chosen(results, options["methods"].split(","), file.name))
    columns = results.columns
    if "columns" in options:
        known = {column.key: column for column in (*columns, *results.shifted, LATE_GAP)}
        keys = options["columns"].split(",")
        if missing := [key for key in keys if key not in known]:
            raise ValueError(f"{file.name} has no column {missing[0]}; it has {', '.join(known)}")
        columns = tuple(known[key] for key in keys)
    return _KINDS[words[1]](results, columns, options.get("to", "ce"))


def _chosen(results: Results, methods: Sequence[str], file: str) -> list[Row]:
    rows = {row.method: row for row in results.rows}
    if missing := [method for method in methods if method not in rows]:
        raise ValueError(f"{file} has no method {missing[0]}; it has {', '.join(rows)}")
    return [rows[method] for method in methods]


def _differences(results: Results, columns: Sequence[Column], to: str) -> str:
    if to not in _REFERENCES:
        raise ValueError(f"to={to} is not one of {', '.join(_REFERENCES)}")
    return differences_table(results, _REFERENCES[to], columns)


_KINDS: dict[str, Callable[[Results, Sequence[Column], str], str]] = {
    "methods": lambda results, columns, to: (
        f"{subject(results)}\n\n{method_table(results, columns)}"
    ),
    "differences": _differences,
    "tried": lambda results, columns, to: choice_table(results),
    "command": lambda results, columns, to: f"```\n{results.command}\n```",
}
