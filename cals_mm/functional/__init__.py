"""Stateless maths of CALS: torch tensors in, torch tensors out."""

from .cals_loss import LossParts, cals_loss
from .penalty import PENALTIES, penalty_lagrangian
from .violation import margin_violation

__all__ = ["PENALTIES", "LossParts", "cals_loss", "margin_violation", "penalty_lagrangian"]
