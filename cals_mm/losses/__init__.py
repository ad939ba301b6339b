"""Losses registered in MMEngine."""

from .cals_loss import CALSLoss

__all__ = ["CALSLoss"]
