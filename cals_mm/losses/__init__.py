"""Losses registered in MMEngine."""

from ._validated import ValidatedLoss, ValidationStatistics
from .acls import ACLSLoss
from .ada_focal import AdaFocalLoss
from .brier import BrierLoss
from .cals_loss import CALSLoss
from .crac import CRaCLoss
from .entropy_penalty import EntropyPenaltyLoss
from .focal import FLSDLoss, SoftmaxFocalLoss
from .mmce import MMCELoss
from .pairwise_constraint import PairwiseConstraintLoss
from .sample_cals import SampleCALSLoss
from .smoothed_cross_entropy import MbLSLoss, SmoothedCrossEntropyLoss

__all__ = [
    "ACLSLoss",
    "AdaFocalLoss",
    "BrierLoss",
    "CALSLoss",
    "CRaCLoss",
    "EntropyPenaltyLoss",
    "FLSDLoss",
    "MMCELoss",
    "MbLSLoss",
    "PairwiseConstraintLoss",
    "SampleCALSLoss",
    "SmoothedCrossEntropyLoss",
    "SoftmaxFocalLoss",
    "ValidatedLoss",
    "ValidationStatistics",
]
