"""Names of users, of classes say, made short and unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cals_mm import files

__all__ = ["printable", "short", "short_names", "unique_names"]


def printable(text: str) -> str:
    """Write lone surrogates as escapes, since neither fonts nor logs have them."""
    return files.encoded(text).decode()


def short(name: str, length: int = 22) -> str:
    """Put a name on one line, and shorten it if necessary."""
    name = " ".join(printable(name).split())
    return name if len(name) <= length else name[: length - 1] + "…"


def short_names(names: Sequence[str], length: int = 22) -> list[str]:
    """Shorten names, and number those that then look the same.

    Example:
        >>> short_names(["traffic light (red)", "traffic light (green)", "road"], length=9)
        ['traffic … (0)', 'traffic … (1)', 'road']
    """
    return unique_names([short(name, length) for name in names])


def unique_names(names: Sequence[str]) -> list[str]:
    """Make names unique by appending the index to those that occur twice.

    Example:
        >>> unique_names(["thing", "sky", "thing"])
        ['thing (0)', 'sky', 'thing (2)']
    """
    names = list(names)
    while len(set(names)) < len(names):
        times = Counter(names)
        names = [f"{name} ({k})" if times[name] > 1 else name for k, name in enumerate(names)]
    return names
