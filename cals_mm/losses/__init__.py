"""Losses registered in MMEngine."""

from .acls import ACLSLoss
from .ada_focal import AdaFocalLoss
from .brier import BrierLoss
from .cals_loss import CALSLoss
from .crac import CRaCLoss
from .entropy_penalty import EntropyPenaltyLoss
from .focal import FLSDLoss, SoftmaxFocalLoss
from .framework_loss import FrameworkLoss, LossCall
from .mbls import MbLSLoss
from .mmce import MMCELoss
from .pairwise_constraint import PairwiseConstraintLoss
from .per_sample_loss import PerSampleLoss
from .sample_cals import SampleCALSLoss
from .smoothed_cross_entropy import SmoothedCrossEntropyLoss
from .stateful_loss import StatefulLoss

__all__ = [
    "ACLSLoss",
    "AdaFocalLoss",
    "BrierLoss",
    "CALSLoss",
    "CRaCLoss",
    "EntropyPenaltyLoss",
    "FLSDLoss",
    "FrameworkLoss",
    "LossCall",
    "MMCELoss",
    "MbLSLoss",
    "PairwiseConstraintLoss",
    "PerSampleLoss",
    "SampleCALSLoss",
    "SmoothedCrossEntropyLoss",
    "SoftmaxFocalLoss",
    "StatefulLoss",
]
