"""The demo is a benchmark of two methods with one seed; its scripts train nothing here."""

import pytest
import torch

from cals_mm.commands import demo
from cals_mm.functional import calibration_statistics

from .workshop import calls, make_project, set_figures


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = make_project(tmp_path)
    monkeypatch.setattr(demo, "PACKAGED", root)
    # The pictures of the report need checkpoints of a real training.
    monkeypatch.setattr(demo, "report", lambda campaign, results: "<p>the report")
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    sums = calibration_statistics(logits, logits.argmax(1))
    torch.save(sums.to_dict(), root / "calibration.pt")
    return root


def arguments(root):
    return ["--task", "classification", "--work-dir", str(root / "out"), "--seed", "3"]


def test_bar_table_and_picture(project, capsys):
    set_figures(
        project,
        val={"ce": {"default": 1.0}, "cals": {"default": 0.9}},
        test={"ce": {"default": 1.2}, "cals": {"default": 0.4}},
    )
    demo.main(arguments(project))
    out, bar = capsys.readouterr()
    lines = out.splitlines()
    start = next(k for k, line in enumerate(lines) if line.split() == ["cross", "entropy", "CALS"])
    table = lines[start : lines.index("", start)]
    assert len({len(line) for line in table}) == 1, "aligned"
    assert ["accuracy", "%", "83.00", "83.00"] in [line.split() for line in table]
    assert ["NLL", "1.200", "0.400"] in [line.split() for line in table]
    assert "4/4" in bar and "held-out accuracy 78.0" in bar
    picture, report = project / "out" / "reliability.png", project / "out" / "results.html"
    assert f"Picture: {picture}; report: {report}" in out
    assert picture.is_file() and report.is_file()
    assert sorted(line.split()[0] for line in calls(project)) == ["test"] * 2 + ["train"] * 2
    demo.main(arguments(project))
    assert len(calls(project)) == 4, "what is done is left out"


def test_a_run_that_fails_is_named(project, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main([*arguments(project)[:-1], "13"])
    assert caught.value.code == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "failed" in line]
    assert sorted(line.split(" (log")[0] for line in failed) == [
        f"failed: {method}, default, seed 13: error: unlucky" for method in ("cals", "ce")
    ]
