"""Analyse the calibration of a finished run in figures."""

from .report import write_report
from .run_folder import FinishedRun, find_run
from .split_pass import SplitStatistics, run_split

__all__ = ["FinishedRun", "SplitStatistics", "find_run", "run_split", "write_report"]
