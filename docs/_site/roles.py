"""Extension of griffe: what the docstrings write in Sphinx's way, in Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|math):`(~?)([^`]+)`")


class Roles(griffe.Extension):
    """Turn roles such as ``:func:`~a.b.c``` into ``c``, equations into code, examples into code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object that has been read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring as the Google style and Markdown have it."""
    text = ROLE.sub(_code, text)
    text = re.sub(r"^( *)\.\. math::\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)


def _code(match: re.Match[str]) -> str:
    short, name = match.groups()
    return f"`{name.rpartition('.')[2] if short else name}`"
