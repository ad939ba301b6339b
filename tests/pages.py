"""README and docs as the tests read them: prose, code blocks and commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def code(page: Path, language: str | None = None) -> list[str]:
    """Its code blocks, those of one language or all."""
    return [
        body
        for kind, body in FENCE.findall(page.read_text("utf-8"))
        if language is None or kind == language
    ]


def commands(page: Path) -> list[str]:
    """Inline code and the lines of code blocks, continued lines joined, comments dropped."""
    blocks = "\n".join(code(page)).replace("\\\n", " ")
    lines = [re.sub(r"\s#.*", "", line) for line in blocks.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", prose(page))
