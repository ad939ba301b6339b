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

from .config import add_cals
from .hooks import CALSMultiplierHook, KeepLogitsHook, RandomStateHook
from .losses import CALSLoss
from .metrics import CalibrationMetric
from .version import __version__

__all__ = [
    "CALSLoss",
    "CALSMultiplierHook",
    "CalibrationMetric",
    "KeepLogitsHook",
    "RandomStateHook",
    "__version__",
    "add_cals",
]
