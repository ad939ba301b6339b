"""Train, choose and test: each command runs once, and interrupted ones are resumed."""

from .campaign import Campaign, Choice
from .processes import Processes, RunFailed
from .run import Budget, Run, shown
from .shift import ShiftTest
from .watch import watching

__all__ = [
    "Budget",
    "Campaign",
    "Choice",
    "Processes",
    "Run",
    "RunFailed",
    "ShiftTest",
    "shown",
    "watching",
]
