"""A self-contained HTML page with embedded style and figures, without scripts."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from .pictures import Picture

__all__ = ["Cell", "bullets", "code", "document", "picture", "pictures", "section", "table", "text"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5a646e; --line: #d9dee3; --back: #fff;
  --panel: #f5f7f9; --accent: #0072b2; --good: #d6ecf8; --bad: #fbe3d3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #a2adb8; --line: #3a424a;
  --back: #16191d; --panel: #1f2429; --accent: #6cc0f0; --good: #123a52; --bad: #54301a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 76rem; background: var(--back);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .4rem 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
p, ul, dl { max-width: 46rem; margin: .5rem 0; }
ul { padding-left: 1.2rem; }
.lead { font-size: 1.08rem; }
.note, figcaption, footer { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; margin: .9rem 0; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .55rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { background: var(--panel); font-weight: 600; vertical-align: bottom; }
thead th { white-space: normal; min-width: 4rem; }
tbody th { vertical-align: middle; }
tbody tr:last-child > * { border-bottom: 0; }
th:first-child { text-align: left; position: sticky; left: 0; }
td.text, th.text { text-align: left; }
td.good { background: var(--good); } td.bad { background: var(--bad); }
td small { display: block; color: var(--soft); font-size: .82em; font-weight: 400; }
.pictures { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.pictures.large { grid-template-columns: 1fr; }
figure { margin: 0; }
img { display: block; width: 100%; height: auto; background: #fff; border-radius: 8px;
  border: 1px solid var(--line); }
.pictures.large img { width: auto; max-width: 100%; }
figcaption { padding: .3rem .2rem; }
pre { overflow-x: auto; padding: .8rem; background: var(--panel); border-radius: 8px;
  font-size: .82rem; line-height: 1.5; }
summary { cursor: pointer; color: var(--accent); padding: .25rem 0; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
"""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: Its text; ``± ...`` or ``[...]`` after a figure is set small.
        style: ``'good'``, ``'bad'``, ``'text'`` (on the left) or nothing.
        strong: Whether the text is bold.
    """

    text: str
    style: str = ""
    strong: bool = False


def document(title: str, parts: Iterable[str]) -> str:
    """Build the page."""
    body = "\n".join(parts)
    # Without an icon the browser would request one.
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A heading with its content; empty if there is no content."""
    inner = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(heading)}</h2>\n{inner}\n</section>" if inner else ""


def text(words: str, style: str = "") -> str:
    """A paragraph; ``**`` around words makes them bold."""
    return f"<p{_attribute(style)}>{_inline(words)}</p>"


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{_inline(line)}</li>" for line in lines) + "</ul>"


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table that can be scrolled sideways on a small screen; the first cells are headings."""
    rows = list(rows)
    left = {i for row in rows for i, cell in enumerate(row) if cell.style == "text"}
    head = "".join(
        f'<th scope="col"{_attribute("text" if i in left else "")}>'
        f"{escape(name).replace(' %', '&nbsp;%')}</th>"
        for i, name in enumerate(heads)
    )
    body = "".join(
        f'<tr><th scope="row">{escape(first.text)}</th>{"".join(map(_cell, rest))}</tr>\n'
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>"
    )


def pictures(items: Sequence[Picture], large: bool = False) -> str:
    """Figures side by side if there is room, or one below the other in full width."""
    if not items:
        return ""
    style = "pictures large" if large else "pictures"
    return f'<div class="{style}">{"".join(map(picture, items))}</div>'


def picture(item: Picture) -> str:
    """A figure embedded in the page."""
    data = base64.b64encode(item.data).decode("ascii")
    return (
        f'<figure><img alt="{escape(item.text)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(item.text)}</figcaption></figure>"
    )


def code(summary: str, lines: Sequence[str]) -> str:
    """Commands in a section that can be unfolded."""
    body = escape("\n".join(lines))
    return f"<details><summary>{escape(summary)}</summary><pre>{body}</pre></details>"


def _cell(cell: Cell) -> str:
    # The spread is placed below, so that twelve columns fit on a screen.
    shown = re.sub(r"^(.*?) (± [^ ]+|\[.*\])( .*)?$", r"\1\3<small>\2</small>", escape(cell.text))
    if cell.strong:
        shown = f"<strong>{shown}</strong>"
    return f"<td{_attribute(cell.style)}>{shown}</td>"


def _attribute(style: str) -> str:
    return f' class="{style}"' if style else ""


def _inline(words: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(words))
