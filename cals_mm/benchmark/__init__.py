"""Compare methods on a task: train under one budget, choose on held-out data, test, report.

``plan`` defines what is compared, ``execution`` trains and tests it, ``reporting`` presents the
results.
"""

from .execution import Budget, Campaign, Choice, Processes, Run, RunFailed
from .plan import (
    CRITERION,
    TASKS,
    Setting,
    Task,
    candidates,
    check_methods,
    choose,
    task_of,
    with_columns_of,
)
from .reporting import STORED, Results, collect, report, store_results, write_results

__all__ = [
    "CRITERION",
    "STORED",
    "TASKS",
    "Budget",
    "Campaign",
    "Choice",
    "Processes",
    "Results",
    "Run",
    "RunFailed",
    "Setting",
    "Task",
    "candidates",
    "check_methods",
    "choose",
    "collect",
    "report",
    "store_results",
    "task_of",
    "with_columns_of",
    "write_results",
]
