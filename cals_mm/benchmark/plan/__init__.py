"""What is compared: tasks, the methods of each, and the settings to try."""

from .methods import check_methods
from .own_config import task_of, with_columns_of
from .settings import CRITERION, DEFAULT, Setting, candidates, choose
from .tasks import (
    AFTER_TEMPERATURE,
    CALIBRATION,
    DEFAULT_SHIFT,
    LATE_GAP,
    SHIFT,
    TASKS,
    USEFULNESS,
    Column,
    Task,
)

__all__ = [
    "AFTER_TEMPERATURE",
    "CALIBRATION",
    "CRITERION",
    "DEFAULT",
    "DEFAULT_SHIFT",
    "LATE_GAP",
    "SHIFT",
    "TASKS",
    "USEFULNESS",
    "Column",
    "Setting",
    "Task",
    "candidates",
    "check_methods",
    "choose",
    "task_of",
    "with_columns_of",
]
