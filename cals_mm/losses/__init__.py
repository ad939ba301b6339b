"""Losses registered in MMEngine."""

from ._validated import ValidatedLoss, ValidationStatistics
from .cals_loss import CALSLoss

__all__ = ["CALSLoss", "ValidatedLoss", "ValidationStatistics"]
