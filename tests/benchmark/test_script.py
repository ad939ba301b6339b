"""The script as a user calls it, on digits for an epoch."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cals_mm.benchmark.reporting import read_results
from cals_mm.functional import CalibrationStatistics, calibration_statistics

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "benchmark.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def arguments(work_dir, *more):
    task = ("--task", "digits-lt", "--epochs", 2, "--work-dir", work_dir)
    return [sys.executable, str(SCRIPT), *map(str, (*task, *more))]


def call(work_dir, *more):
    return subprocess.run(
        arguments(work_dir, *more),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd="/",
        timeout=300,
    )


@pytest.fixture(autouse=True)
def signals():
    """The script sets a handler, which must not outlive it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Results of CE, killed in its first training and given again."""
    work_dir = tmp_path_factory.mktemp("benchmark")
    run = work_dir / "digits-lt" / "ce" / "default" / "seed4"
    command = arguments(work_dir, "--methods", "ce", "--seeds", 4)
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    until = time.monotonic() + 120
    while not list(run.glob("best_*.pth")) and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = call(work_dir, "--methods", "ce", "--seeds", 4)
    assert again.returncode == 0, again.stdout + again.stderr
    return work_dir, run, again.stdout


@pytest.mark.slow
def test_table_of_real_runs(done):
    work_dir, run, printed = done
    results = read_results(work_dir / "digits-lt" / "results.json")
    (row,) = results.rows
    assert (row.method, row.seeds) == ("ce", [4])
    for column in results.columns:
        assert isinstance(row.mean[column.key], float), column
    assert (work_dir / "digits-lt" / "results.md").read_text() in printed
    assert (run / "trained.json").is_file()


@pytest.mark.slow
def test_what_is_kept_fits_the_figures(done):
    _, run, _ = done
    metrics = json.loads((run / "test-best" / "tested.json").read_text())["metrics"]
    kept = torch.load(run / "test-best" / "predictions.pt")
    assert kept["logits"].shape == (600, 10)
    right = (kept["logits"].argmax(1) == kept["target"]).double().mean()
    assert 100 * float(right) == pytest.approx(metrics["accuracy/top1"])
    sums = CalibrationStatistics.from_dict(torch.load(run / "test-best" / "calibration.pt"))
    again = calibration_statistics(kept["logits"], kept["target"])
    assert torch.equal(sums.bin_count, again.bin_count)


@pytest.mark.slow
def test_what_is_done_is_skipped_and_a_changed_length_refused(done):
    work_dir, _, _ = done
    process = call(work_dir, "--methods", "ce", "--seeds", 4)
    assert process.returncode == 0
    assert "trained before" in process.stdout
    assert "training\n" not in process.stdout
    before = {file: file.read_bytes() for file in (work_dir / "digits-lt").glob("results.*")}
    process = call(work_dir, "--methods", "ce", "--seeds", 4, "--epochs", 3)
    assert process.returncode == 1
    assert "stay as they are" in process.stdout
    assert before == {file: file.read_bytes() for file in before}
    assert "failed: ce, default, seed 4" in process.stderr
    assert "another config" in process.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--methods", "cal"), "the task digits-lt has no method 'cal'; it has ce, "),
        (("--data-root", "/nowhere"), "is not a folder"),
        (("--task", "camvid"), "needs --data-root"),
        (("--jobs", "0"), "--jobs must be at least 1"),
        (("--seeds", "1", "1"), "--seeds names one twice"),
        (("--shift", "fog:1"), "no corruption is called 'fog'"),
        (("--task", "stdlib-docs", "--shift"), "no pipeline of images"),
    ],
)
def test_errors(tmp_path, monkeypatch, capsys, more, message):
    # In this process: each start of Python and torch takes seconds.
    monkeypatch.setattr(sys, "argv", arguments(tmp_path, *more)[1:])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
