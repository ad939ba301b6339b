"""The table says what the figures say."""

import csv
import io
from dataclasses import replace

from cals_mm.benchmark import collect, write_results
from cals_mm.benchmark.plan import CALIBRATION, Column
from cals_mm.benchmark.reporting.results import Row, merit
from cals_mm.benchmark.reporting.table import markdown, results_csv
from cals_mm.functional import CALIBRATION_VALUES

from .workshop import a_campaign, make_project


def results(tmp_path, **arguments):
    campaign = a_campaign(make_project(tmp_path), **arguments)
    campaign.run()
    return collect(campaign)


def test_markdown(tmp_path):
    text = markdown(results(tmp_path, tries=3))
    rows = [line for line in text.splitlines() if line.startswith("| cals")]
    assert rows[0].startswith("| cals | default | 2 | 80.50 ± 0.71 | 50.00 ± 0.00 |")
    assert "| +10.50 ± 0.71 |" in rows[0], "the gap has a sign"
    assert "| cals | **default** | 79.00 | 10.00 | 0.9900 |" in rows
    assert "| cals | margin=6 | 79.00 | 10.00 | 0.9900 |" in rows
    assert "cals train configs/ce/resnet_digits-lt.py --method cals --seed 0 " in text
    assert "over seeds 0, 1" in text
    assert "## Missing" not in text


def test_missing_runs_are_named(tmp_path):
    text = markdown(results(tmp_path, seeds=[0, 13]))
    assert "- ce, default, seed 13: error: unlucky" in text
    assert "| ce | default | 1 | 80.00 |" in text, "no deviation of one value"


def test_csv_keeps_all_digits(tmp_path):
    found = results(tmp_path)
    rows = list(csv.DictReader(io.StringIO(results_csv(found))))
    assert [row["method"] for row in rows] == ["ce", "cals"]
    std = found.rows[0].std["accuracy/top1"]
    assert float(rows[0]["accuracy/top1_std"]) == std


def test_files_of_both_checkpoints(tmp_path):
    found = results(tmp_path)
    names = [file.name for file in write_results(found, "<p>", tmp_path / "out")]
    assert names == ["results.md", "results.csv", "results.html", "results.json"]
    last = replace(found, checkpoint="last")
    names = [file.name for file in write_results(last, "<p>", tmp_path / "out")]
    suffixes = (".md", ".csv", ".html", ".json")
    assert names == [f"results-last{suffix}" for suffix in suffixes]


def test_the_columns_of_the_benchmark_are_those_to_be_compared():
    compared = [value for value in CALIBRATION_VALUES.values() if value.compared]
    assert [(c.key, c.heading, c.better, c.digits) for c in CALIBRATION] == [
        (f"calibration/{v.name}", v.heading, v.better, v.digits) for v in compared
    ]


def test_where_0_is_best_signs_do_not_cancel():
    gap = Column("calibration/gap", "gap", "zero")
    far = Row("mbls", "default", {0: {gap.key: 6.0}, 1: {gap.key: -6.0}})
    near = Row("cals", "default", {0: {gap.key: 1.0}, 1: {gap.key: 1.0}})
    assert merit(near, gap) == -1.0 > merit(far, gap) == -6.0
