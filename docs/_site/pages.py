"""Hook of MkDocs: pages that are no files in docs/, and links that leave docs/."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
FROM_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
FROM_ROOT["CHANGELOG.md"] = "changelog.md"
ROOMS = {
    "cals_mm": "What a config names, and how to change one",
    "cals_mm.functional": "Losses, penalties and calibration values, without state",
    "cals_mm.core": "What learns: multipliers, margins, and the calibration meter",
    "cals_mm.posthoc": "Calibration of trained models",
    "cals_mm.posthoc.conformal": "Prediction sets and thresholds with a guarantee",
    "cals_mm.prediction": "Trained models on files without labels",
    "cals_mm.config": "Changes of a config",
    "cals_mm.methods": "The table of methods",
    "cals_mm.losses": "Losses of MMEngine's registry",
    "cals_mm.hooks": "Hooks of MMEngine's registry",
    "cals_mm.metrics": "Metrics of MMEngine's registry",
    "cals_mm.datasets.segmentation": "Data sets for segmentation",
    "cals_mm.datasets.classification": "Data sets for classification",
    "cals_mm.datasets.street_scenes": "The demo's scenes",
    "cals_mm.text": "Text classification",
    "cals_mm.visualization": "Figures from sums and arrays",
    "cals_mm.analysis": "Figures of finished runs",
    "cals_mm.benchmark": "Comparisons of methods",
    "cals_mm.runs": "What the commands share",
    "cals_mm.frameworks": "What mmsegmentation and mmpretrain each do in their own way",
    "cals_mm.files": "Atomic writing of files",
}
"""Modules whose public names have a reference, and what they are for."""

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the root of the repository, the tutorial, and the reference."""
    pages = {page: (ROOT / name).read_text("utf-8") for name, page in FROM_ROOT.items()}
    pages["tutorial.md"] = notebook_as_markdown(ROOT / "docs" / "tutorial.ipynb")
    rows = [f"| [`{name}`]({name}.md) | {what} |" for name, what in ROOMS.items()]
    pages["api/index.md"] = "\n".join(["# Reference", "", "| module | |", "| --- | --- |", *rows])
    for name, what in ROOMS.items():
        parts = [f"::: {origin}" for origin in public_names(name)]
        pages[f"api/{name}.md"] = "\n\n".join([f"# `{name}`", f"{what}.", *parts])
    for page, content in pages.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_config(config: Any) -> Any:
    """Put the pages of a folder in the place of its name in the navigation."""
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    folders = {
        "api/": ["api/index.md", *(f"api/{name}.md" for name in ROOMS)],
        "decisions/": ["decisions/README.md", *(f"decisions/{page.name}" for page in decisions)],
    }
    config.nav = _filled(config.nav, folders)
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links out of docs/ to the pages of the site; leave only the text of all others."""
    origin = {site: name for name, site in FROM_ROOT.items()}.get(page.file.src_uri)
    base = origin or f"docs/{page.file.src_uri}"

    def turned(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return match[0]
        file = os.path.normpath(os.path.join(os.path.dirname(base), path))
        if file == "docs/README.md":
            file = "README.md"
        page_of = FROM_ROOT.get(file, file.removeprefix("docs/"))
        if page_of == "tutorial.ipynb" and origin:
            page_of = "tutorial.md"
        if files.get_file_from_path(page_of) is None:
            return f"`{text}`" if re.fullmatch(r"[\w./-]+", text) else text
        inner = os.path.relpath(page_of, os.path.dirname(page.file.src_uri) or ".")
        return f"{picture}[{text}]({inner}{'#' * bool(anchor)}{anchor})"

    return LINK.sub(turned, markdown)


def notebook_as_markdown(file: Path) -> str:
    """The cells of a notebook as a page, with a link to the notebook."""
    cells = json.loads(file.read_text("utf-8"))["cells"]
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    parts.insert(1, f"This page is [a notebook]({file.name}), which runs as it stands.")
    return "\n\n".join(parts)


def public_names(module: str) -> list[str]:
    """Full names of what a module has in ``__all__``, as it stands in its source."""
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            own = {name.rpartition(".")[2] for name in ROOMS}
            return [f"{module}.{name}" for name in names if name[0] != "_" and name not in own]
    raise ValueError(f"{file} has no __all__")


def _filled(nav: Any, folders: dict[str, list[str]]) -> Any:
    if isinstance(nav, list):
        return [_filled(item, folders) for item in nav]
    if isinstance(nav, dict):
        return {title: _filled(item, folders) for title, item in nav.items()}
    return folders.get(nav, nav)
