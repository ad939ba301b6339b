"""Show what a change of a config changes."""

from __future__ import annotations

import difflib

from mmengine.config import Config

__all__ = ["config_difference"]


def config_difference(before: Config, after: Config) -> str:
    """Unified diff of the text of two configs; empty if they are equal."""
    lines = difflib.unified_diff(
        before.pretty_text.splitlines(),
        after.pretty_text.splitlines(),
        fromfile="before",
        tofile="after",
        n=2,
        lineterm="",
    )
    return "\n".join(lines)
