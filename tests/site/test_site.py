"""The site of `make docs`, built strictly, and read in a browser."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmark.browser import BROWSER
from tests.pages import ROOT

from .served import Site, served

pytestmark = pytest.mark.slow
if importlib.util.find_spec("mkdocs") is None:
    pytest.skip("the extra 'docs' is not installed", allow_module_level=True)

browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def site(folder) -> Site:
    with served(folder) as site:
        yield site


def test_every_public_name_has_a_reference(folder):
    import cals_mm
    from cals_mm import core, functional, losses, posthoc, prediction, runs, visualization

    for module in (cals_mm, core, functional, losses, posthoc, prediction, runs, visualization):
        page = (folder / "api" / f"{module.__name__}.html").read_text("utf-8")
        shown = set(re.findall(rf'id="{re.escape(module.__name__)}\.(\w+)"', page))
        own = {n for n in module.__all__ if n[0] != "_"} - {"core", "functional", "posthoc"}
        assert own <= shown, own - shown


def test_every_page_is_there_and_none_asks_another_host(folder):
    pages = {file.stem for file in (ROOT / "docs").glob("*.md")} - {"README"}
    assert pages | {"index", "tutorial", "contributing", "changelog"} <= {
        file.stem for file in folder.glob("*.html")
    }
    for file in folder.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link)[^>]*(?:src|href)="(\w+:[^"]*)"', file.read_text()
        )
        assert [url for url in loaded if not url.startswith("data:")] == [], file.name


def test_links_lead_to_pages_and_headings(folder):
    text = {file: file.read_text("utf-8") for file in folder.rglob("*.html")}
    anchors = {file: set(re.findall(r'\bid="([^"]+)"', page)) for file, page in text.items()}
    for file, page in text.items():
        for target in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', page):
            if re.match(r"[a-z]+:", target) or file.name == "404.html":
                continue
            name, _, anchor = target.partition("#")
            found = (file.parent / name).resolve() if name else file
            found = found / "index.html" if found.is_dir() else found
            assert found.is_file(), f"{file.name}: {target}"
            assert not anchor or anchor in anchors[found], f"{file.name}: {target}"


def test_the_tutorial_is_read_here_and_downloaded_from_its_page(folder):
    links = {
        page: set(re.findall(r'href="(tutorial\.\w+)"', (folder / page).read_text("utf-8")))
        for page in ("index.html", "tutorial.html")
    }
    assert links["index.html"] == {"tutorial.html"}
    assert "tutorial.ipynb" in links["tutorial.html"]


@browser
@pytest.mark.parametrize("page", ["index.html", "api/cals_mm.functional.html", "tutorial.html"])
def test_pages_are_readable_on_wide_and_narrow_screens(site, page, tmp_path):
    for width in (1300, 500):  # Chromium's windows are not narrower
        seen = site.look(page, tmp_path, width)
        assert seen["errors"] == []
        assert seen["overflow"] <= 0
        assert all(seen["widths"]), "a picture is missing"
        assert all(name.startswith(site.address) for name in seen["requests"])
    assert page.startswith("api") or seen["widths"]


@browser
def test_the_search_finds_what_is_documented(site, tmp_path):
    seen = site.look("index.html?q=suggest_margin", tmp_path)
    assert seen["errors"] == []
    assert any("suggest_margin" in result for result in seen["results"])
