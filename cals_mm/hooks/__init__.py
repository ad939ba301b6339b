"""Hooks registered in MMEngine."""

from .class_counts_hook import ClassCountsHook
from .epoch_validation_hook import EpochValidationHook
from .fused_resize_hook import FusedResizeHook
from .keep_logits_hook import KeepLogitsHook
from .multiplier_hook import CALSMultiplierHook
from .random_state_hook import RandomStateHook
from .sample_multiplier_hook import SampleMultiplierHook

__all__ = [
    "CALSMultiplierHook",
    "ClassCountsHook",
    "EpochValidationHook",
    "FusedResizeHook",
    "KeepLogitsHook",
    "RandomStateHook",
    "SampleMultiplierHook",
]
