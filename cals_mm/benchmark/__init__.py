"""Compare methods on a task: train under one budget, choose on held-out data, test, report."""

from .campaign import Campaign, Choice
from .processes import Processes, RunFailed
from .report import report
from .results import collect
from .runs import Budget, Run
from .settings import CRITERION, Knob, Setting, candidates, choose
from .tasks import REFERENCE, TASKS, Task, check_methods, methods_with_config
from .write import write_results

__all__ = [
    "CRITERION",
    "REFERENCE",
    "TASKS",
    "Budget",
    "Campaign",
    "Choice",
    "Knob",
    "Processes",
    "Run",
    "RunFailed",
    "Setting",
    "Task",
    "candidates",
    "check_methods",
    "choose",
    "collect",
    "methods_with_config",
    "report",
    "write_results",
]
