"""Stored results: what is read is what was written, and the docs' tables follow from it."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cals_mm.benchmark import collect
from cals_mm.benchmark.reporting import STORED, read_results, render, store_results
from cals_mm.benchmark.reporting.pages import MARKER
from cals_mm.benchmark.reporting.table import choice_table, differences_table, method_table
from cals_mm.commands.tables import PAGES, main

from .workshop import a_campaign, make_project, set_figures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("project"))
    values = {"ce": {"default": 1.123456789}, "cals": {"default": 0.5, "6.0": 0.7, "12.0": 0.4}}
    set_figures(root, val=values, test=values)
    campaign = a_campaign(root, tries=3, seeds=[2, 0, 13])
    campaign.run()
    return collect(campaign)


def test_what_is_read_makes_the_same_tables(results, tmp_path):
    store_results(results, tmp_path / "a.json")
    found = read_results(tmp_path / "a.json")
    assert found.task == results.task
    assert found.choices["cals"].setting.name == "margin=12"
    assert method_table(found, found.columns) == method_table(results, results.columns)
    assert choice_table(found) == choice_table(results)
    for to in ("ce", "ce + temperature", "best other"):
        assert differences_table(found, to, found.columns).count("[") > 5
        assert differences_table(found, to, found.columns) == differences_table(
            results, to, results.columns
        )
    store_results(found, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_one_line_a_run_and_no_folder_of_this_machine(results, tmp_path):
    file = tmp_path / "a.json"
    store_results(results, file)
    text = file.read_text()
    assert str(results.rows[0].commands[0]).split("--work-dir ")[1].split()[0] not in text
    assert "/tmp" not in text and "log:" not in text
    assert sum('"seed": ' in line for line in text.splitlines()) == 4
    assert '"missing": ["ce, default, seed 13"' in text
    more = replace(results, rows=results.rows[:1])
    store_results(more, file)
    before, after = text.splitlines(), file.read_text().splitlines()
    assert set(after) - set(before) <= {line.rstrip(",") for line in before}


def test_a_try_that_diverged_is_no_number(results, tmp_path):
    choice = results.choices["cals"]
    worst = max(choice.held_out, key=lambda setting: choice.held_out[setting]["calibration/NLL"])
    held_out = {**choice.held_out, worst: {**choice.held_out[worst], "calibration/NLL": math.nan}}
    diverged = replace(results, choices={"cals": replace(choice, held_out=held_out)})
    file = tmp_path / "a.json"
    store_results(diverged, file)
    json.loads(file.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    lines = choice_table(read_results(file)).splitlines()
    (line,) = [line for line in lines if f"| {worst.name} |" in line]
    assert line.endswith("| – |")


def test_a_page_is_rendered_between_its_markers(results, tmp_path):
    store_results(results, tmp_path / "digits-lt.json")
    page = (
        "# Title\n<!-- table: digits-lt methods columns=accuracy/top1,scaled/NLL -->\nold\n"
        "<!-- end of table -->\ntext\n<!-- table: digits-lt command -->\n<!-- end of table -->\n"
    )
    new = render(page, tmp_path)
    assert render(new, tmp_path) == new
    assert "|  | setting | accuracy % | NLL+T |" in new
    assert "| CALS | margin 12 | 81.00 ± 1.41 | **0.200 ± 0.000 ▲** |" in new
    assert "old" not in new
    assert new.startswith("# Title\n") and "\ntext\n" in new
    command = new.split("```\n")[1].replace("\\\n", "")
    assert "--task digits-lt --seeds 2 0 13 --tries 3" in " ".join(command.split())


def test_a_table_of_some_methods(results, tmp_path):
    store_results(results, tmp_path / "digits-lt.json")
    page = (
        "<!-- table: digits-lt methods methods=cals columns=scaled/NLL -->\n<!-- end of table -->\n"
    )
    new = render(page, tmp_path)
    assert "| CALS |" in new and "| cross entropy |" not in new


def test_the_late_gap_is_a_column_for_pages(results, tmp_path):
    store_results(results, tmp_path / "digits-lt.json")
    page = "<!-- table: digits-lt methods columns=held_out/late_gap -->\n<!-- end of table -->\n"
    # The only validation of the last third has ten times the NLL of its seed, for CALS 0.4.
    assert "| CALS | margin 12 | 4.00 ± 0.00 |" in render(page, tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("digits-lt", "one of methods, differences"),
        ("digits-lt pie", "one of methods, differences"),
        ("nothing methods", "there are no results"),
        ("digits-lt methods columns=ECE", "no column ECE; it has accuracy/top1"),
        ("digits-lt differences to=cals", "to=cals is not one of ce, ce"),
        ("digits-lt methods methods=ce,mbls", "has no method mbls; it has ce, cals"),
        ("digits-lt methods rows=3", "unknown in the marker of a table: rows"),
    ],
)
def test_wrong_markers(results, tmp_path, words, message):
    store_results(results, tmp_path / "digits-lt.json")
    page = f"<!-- table: {words} -->\n<!-- end of table -->\n"
    with pytest.raises(ValueError, match=message):
        render(page, tmp_path)


def test_a_table_without_an_end_takes_no_text_with_it(results, tmp_path):
    store_results(results, tmp_path / "digits-lt.json")
    begin, end = "<!-- table: digits-lt command -->\n", "<!-- end of table -->\n"
    for page in (f"{begin}text\n{begin}{end}", begin, end, f"{end}text\n{begin}"):
        with pytest.raises(ValueError, match="must alternate"):
            render(page, tmp_path)


def test_the_tables_of_the_docs_are_as_rendered():
    main(["--check"])
    for name in PAGES:
        page = (ROOT / name).read_text("utf-8")
        assert page.count("<!-- table: ") == len(MARKER.findall(page)), f"{name}: a marker is open"
    for file in (ROOT / STORED).glob("*.json"):
        read_results(file)


@pytest.mark.parametrize("name", [name for name in PAGES if "results" in name])
def test_no_figure_over_seeds_is_written_by_hand(name):
    outside = MARKER.sub("", (ROOT / name).read_text("utf-8"))
    assert re.findall(r".*\d ± \d.*", outside) == []
