"""Losses registered in MMEngine."""

from .acls import ACLSLoss
from .ada_focal import AdaFocalLoss
from .avuc import AvUCLoss
from .brier import BrierLoss
from .cals_loss import CALSLoss
from .crac import CRaCLoss
from .entropy_penalty import EntropyPenaltyLoss
from .focal import FLSDLoss, SoftmaxFocalLoss
from .framework_loss import FrameworkLoss, LossCall
from .mbls import MbLSLoss
from .mdca import MDCALoss
from .mmce import MMCELoss
from .nacl import NACLLoss
from .pairwise_constraint import PairwiseConstraintLoss
from .per_sample_loss import PerSampleLoss
from .sample_cals import SampleCALSLoss
from .smoothed_cross_entropy import SmoothedCrossEntropyLoss
from .stateful_loss import StatefulLoss
from .svls import SVLSLoss

__all__ = [
    "ACLSLoss",
    "AdaFocalLoss",
    "AvUCLoss",
    "BrierLoss",
    "CALSLoss",
    "CRaCLoss",
    "EntropyPenaltyLoss",
    "FLSDLoss",
    "FrameworkLoss",
    "LossCall",
    "MDCALoss",
    "MMCELoss",
    "MbLSLoss",
    "NACLLoss",
    "PairwiseConstraintLoss",
    "PerSampleLoss",
    "SVLSLoss",
    "SampleCALSLoss",
    "SmoothedCrossEntropyLoss",
    "SoftmaxFocalLoss",
    "StatefulLoss",
]
