"""The import of this package in a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["with_import"]


def with_import(custom_imports: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the ``custom_imports`` of a config with this package added."""
    merged = dict(custom_imports or {"allow_failed_imports": False})
    imports = merged.get("imports") or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    merged["imports"] = imports if "cals_mm" in imports else [*imports, "cals_mm"]
    return merged
