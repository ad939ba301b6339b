"""Class adaptive network calibration for OpenMMLab.

Importing the package registers its losses, hooks and metrics in MMEngine's root registries.
"""

try:
    import mmengine  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "cals_mm needs mmengine: install the maintained OpenMMLab stack with "
        "pip install 'cals-mm[onedl]', or the original one with pip install 'cals-mm[openmmlab]'",
        name=error.name,
    ) from None

from typing import TYPE_CHECKING, Any

from ._lazy_hooks import HOOK_NAMES, register_hooks
from .config import add_cals, with_method
from .losses import (
    ACLSLoss,
    AdaFocalLoss,
    BrierLoss,
    CALSLoss,
    CRaCLoss,
    EntropyPenaltyLoss,
    FLSDLoss,
    MbLSLoss,
    MMCELoss,
    PairwiseConstraintLoss,
    SampleCALSLoss,
    SmoothedCrossEntropyLoss,
    SoftmaxFocalLoss,
)
from .metrics import CalibrationMetric, LongTailMetric
from .version import __version__

if TYPE_CHECKING:
    from .hooks import (
        CALSMultiplierHook,
        ClassCountsHook,
        KeepLogitsHook,
        RandomStateHook,
        SampleMultiplierHook,
    )

register_hooks()

__all__ = [
    "ACLSLoss",
    "AdaFocalLoss",
    "BrierLoss",
    "CALSLoss",
    "CALSMultiplierHook",
    "CRaCLoss",
    "CalibrationMetric",
    "ClassCountsHook",
    "EntropyPenaltyLoss",
    "FLSDLoss",
    "KeepLogitsHook",
    "LongTailMetric",
    "MMCELoss",
    "MbLSLoss",
    "PairwiseConstraintLoss",
    "RandomStateHook",
    "SampleCALSLoss",
    "SampleMultiplierHook",
    "SmoothedCrossEntropyLoss",
    "SoftmaxFocalLoss",
    "__version__",
    "add_cals",
    "with_method",
]


def __getattr__(name: str) -> Any:
    """Import the hooks when they are first asked for."""
    if name in HOOK_NAMES:
        from . import hooks

        return getattr(hooks, name)
    raise AttributeError(f"module 'cals_mm' has no attribute {name!r}")
