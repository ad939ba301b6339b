"""The report: what it says, and that a browser shows it."""

import re

import pytest
import torch

from cals_mm.benchmark import collect, report
from cals_mm.benchmark.reporting.results import SCALED_REFERENCE
from cals_mm.functional import calibration_statistics
from cals_mm.visualization import png, state_curves

from .browser import BROWSER, look
from .workshop import a_campaign, make_project, set_figures

CLASSES = [f"digit <{k}>" for k in range(10)]


def leave_pictures(campaign):
    """Put into the folders what the real scripts keep for pictures."""
    for method, figures in campaign.tested.items():
        for seed in figures:
            run = campaign.a_run(method, campaign.choices[method].setting, seed)
            generator = torch.Generator().manual_seed(seed)
            logits = torch.randn(200, 10, generator=generator)
            target = torch.distributions.Categorical(logits=logits).probs.argmax(1)
            logits = logits * (3 if method == "ce" else 1)
            folder = campaign.test_of(run).folder
            torch.save({"logits": logits, "target": target}, folder / "predictions.pt")
            sums = calibration_statistics(logits, target)
            torch.save(sums.to_dict(), folder / "calibration.pt")
            meta = {"meta": {"dataset_meta": {"classes": CLASSES}}}
            torch.save(meta, run.checkpoint(campaign.checkpoint)[1])
    run = campaign.a_run("cals", campaign.choices["cals"].setting, 0)
    images = run.folder / "20260101_000000" / "vis_data" / "vis_image"
    images.mkdir()
    curves = state_curves([1, 2], {"lambda": [[0.1, 0.2]] * 2, "rho": [[1.0, 1.0]] * 2})
    (images / "cals_multipliers_2.png").write_bytes(png(curves))
    (images / "calibration_val_2.png").write_bytes(b"not the curves")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("project"))
    values = {"ce": {"default": 1.0}, "cals": {"default": 0.5, "6.0": 0.7}}
    set_figures(root, val=values, test=values)
    campaign = a_campaign(root, tries=2)
    campaign.run()
    leave_pictures(campaign)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cals_mm.benchmark.reporting.resampled.DRAWS", 40)
        results = collect(campaign)
    return campaign, results, report(campaign, results)


def test_what_it_says(found):
    _, results, page = found
    assert page.count("<img ") == 1 + 2 + 1 + 1 + 1, "intervals, reliability, risk, classes, curves"
    assert "Lowest ECE %: <strong>cals</strong>" in page
    rows = re.findall(r'<th scope="row">(\w+)</th>', page)
    assert rows[:2] == ["cals", "ce"], "ordered by ECE"
    assert "default (chosen)" in page and "margin=6" in page
    assert "cals train configs/ce/resnet_digits-lt.py --method cals" in page
    difference = results.rows[1].differences["calibration/ECE"]
    assert difference.difference == pytest.approx(-5.0)
    assert difference.over == "seeds and test samples"
    assert results.rows[1].differences["long_tail/few_ECE"].over == "seeds"
    scaled = results.rows[1].comparisons[SCALED_REFERENCE]
    assert "calibration/ECE" in scaled
    assert "long_tail/few_ECE" not in scaled, "it is not measured after temperature"


def test_it_needs_nothing_else(found):
    _, _, page = found
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "not the curves" not in page


def test_without_reference_there_is_no_comparison(found, monkeypatch):
    campaign, _, _ = found
    monkeypatch.setattr("cals_mm.benchmark.reporting.resampled.DRAWS", 40)
    alone = a_campaign(campaign.budget.root, methods=["cals"], tries=2)
    alone.run()
    page = report(alone, collect(alone))
    assert "No comparison: ce has not been tested" in page
    assert "Difference to ce" not in page


def test_the_text_of_one_seed(found, monkeypatch):
    campaign, _, _ = found
    monkeypatch.setattr("cals_mm.benchmark.reporting.resampled.DRAWS", 40)
    alone = a_campaign(campaign.budget.root, seeds=[0], tries=2)
    alone.run()
    page = report(alone, collect(alone))
    assert "Resampled are the test samples" in page
    assert "Some figures have no interval." in page
    assert "One seed says nothing about others" in page
    assert "nothing to resample" not in page


def test_nothing_done_yet(tmp_path):
    campaign = a_campaign(make_project(tmp_path), processes=None)
    campaign.run()
    page = report(campaign, collect(campaign))
    assert "No run has been tested yet" in page
    assert "not trained to the end yet" in page


browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (apt-get install chromium)")


@browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_it(found, tmp_path, width):
    seen = look(found[2], tmp_path, width)
    assert len(seen["widths"]) == 6
    assert all(found > 300 for found in seen["widths"])
    assert seen["errors"] == []
    assert seen["requests"] == []
    assert seen["overflow"] <= 0, "tables scroll, the page does not"


@browser
@pytest.mark.slow
def test_the_look_sees_what_is_wrong(tmp_path):
    page = (
        "<!doctype html><html><body style='width: 3000px'><img src='data:image/png;base64,AA'>"
        "<script>console.error('oh'); undefined_name()</script></body></html>"
    )
    seen = look(page, tmp_path)
    assert seen["widths"] == [0]
    assert len(seen["errors"]) >= 2
    assert seen["overflow"] > 1000
