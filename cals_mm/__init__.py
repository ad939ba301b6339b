"""Class adaptive network calibration for OpenMMLab.

Importing the package registers its losses, hooks and metrics in MMEngine's root registries. Without
MMEngine, the packages that need only torch can be used: ``cals_mm.functional``, ``cals_mm.posthoc``
and ``cals_mm.core``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._mmengine import HAS_MMENGINE, require_mmengine
from .version import __version__

if HAS_MMENGINE:
    from . import losses, metrics  # noqa: F401
    from ._lazy_hooks import register_hooks
    from .packaged import register_configs

    register_hooks()
    register_configs()

if TYPE_CHECKING:
    from . import core, functional, posthoc
    from .config import add_cals, with_method
    from .hooks import (
        CALSMultiplierHook,
        ClassCountsHook,
        EpochValidationHook,
        FusedResizeHook,
        KeepLogitsHook,
        RandomStateHook,
        SampleMultiplierHook,
    )
    from .losses import (
        ACLSLoss,
        AdaFocalLoss,
        AvUCLoss,
        BrierLoss,
        CALSLoss,
        CRaCLoss,
        EntropyPenaltyLoss,
        FLSDLoss,
        MbLSLoss,
        MDCALoss,
        MMCELoss,
        NACLLoss,
        PairwiseConstraintLoss,
        SampleCALSLoss,
        SmoothedCrossEntropyLoss,
        SoftmaxFocalLoss,
        SVLSLoss,
    )
    from .metrics import CalibrationMetric, LongTailMetric

__all__ = [
    "ACLSLoss",
    "AdaFocalLoss",
    "AvUCLoss",
    "BrierLoss",
    "CALSLoss",
    "CALSMultiplierHook",
    "CRaCLoss",
    "CalibrationMetric",
    "ClassCountsHook",
    "EntropyPenaltyLoss",
    "EpochValidationHook",
    "FLSDLoss",
    "FusedResizeHook",
    "KeepLogitsHook",
    "LongTailMetric",
    "MDCALoss",
    "MMCELoss",
    "MbLSLoss",
    "NACLLoss",
    "PairwiseConstraintLoss",
    "RandomStateHook",
    "SVLSLoss",
    "SampleCALSLoss",
    "SampleMultiplierHook",
    "SmoothedCrossEntropyLoss",
    "SoftmaxFocalLoss",
    "__version__",
    "add_cals",
    "core",
    "functional",
    "posthoc",
    "with_method",
]

# Hooks are the slowest to import, so they come last.
_ROOMS = ("losses", "metrics", "config", "hooks")


def __getattr__(name: str) -> Any:
    """Import a public name on first access."""
    if name not in __all__:
        raise AttributeError(f"module 'cals_mm' has no attribute {name!r}")
    if name in ("core", "functional", "posthoc"):
        return import_module(f"cals_mm.{name}")
    require_mmengine(f"cals_mm.{name}")
    room = next(r for r in _ROOMS if name in import_module(f"cals_mm.{r}").__all__)
    globals()[name] = value = getattr(import_module(f"cals_mm.{room}"), name)
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
