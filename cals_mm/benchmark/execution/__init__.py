"""Train, choose and test: commands in processes, each done once, stopped ones gone on with."""

from .campaign import Campaign, Choice
from .processes import Processes, RunFailed
from .run import Budget, Run, shown
from .watch import watching

__all__ = ["Budget", "Campaign", "Choice", "Processes", "Run", "RunFailed", "shown", "watching"]
