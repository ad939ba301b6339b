"""Train, choose and test: each command runs once, and interrupted ones are resumed."""

from .campaign import Campaign, Choice
from .processes import Processes, RunFailed
from .run import IMAGES, PREDICTIONS, SCALED_IMAGES, Budget, Run, shown
from .watch import watching

__all__ = [
    "IMAGES",
    "PREDICTIONS",
    "SCALED_IMAGES",
    "Budget",
    "Campaign",
    "Choice",
    "Processes",
    "Run",
    "RunFailed",
    "shown",
    "watching",
]
