"""Whether MMEngine is installed, which all packages but the torch-only ones need."""

from __future__ import annotations

__all__ = ["HAS_MMENGINE", "require_mmengine"]

try:
    import mmengine  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "mmengine":
        raise
    HAS_MMENGINE = False
else:
    HAS_MMENGINE = True


def require_mmengine(what: str) -> None:
    """Raise an error that says how to install MMEngine if it is missing.

    Args:
        what: Name of the feature that needs it.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    if not HAS_MMENGINE:
        raise ModuleNotFoundError(
            f"{what} needs mmengine: install the maintained OpenMMLab stack with "
            "pip install 'cals-mm[onedl]', or the original one with "
            "pip install 'cals-mm[openmmlab]'",
            name="mmengine",
        )
