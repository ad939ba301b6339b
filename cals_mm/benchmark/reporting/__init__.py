"""Results: figures with intervals, tables, the report and the files."""

from .collect import collect
from .report import report
from .results import Results, Row
from .write import write_results

__all__ = ["Results", "Row", "collect", "report", "write_results"]
