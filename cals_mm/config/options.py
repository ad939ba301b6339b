"""Method options with dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

__all__ = ["nested"]


def nested(options: Mapping[str, Any]) -> dict[str, Any]:
    """Convert options with dotted keys to nested dictionaries.

    Example:
        >>> nested({"margin": 10.0, "rule.type": "heuristic"})
        {'margin': 10.0, 'rule': {'type': 'heuristic'}}
    """
    cfg = Config()
    cfg.merge_from_dict(dict(options))
    plain: dict[str, Any] = cfg.to_dict()
    return plain
