"""Results: figures with intervals, tables, the report and the files."""

from .collect import collect
from .pages import render
from .report import report
from .results import Results, Row
from .stored import STORED, read_results, store_results
from .write import results_file, write_results

__all__ = [
    "STORED",
    "Results",
    "Row",
    "collect",
    "read_results",
    "render",
    "report",
    "results_file",
    "store_results",
    "write_results",
]
