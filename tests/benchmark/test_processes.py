"""Commands side by side get a thread each, and one that ends early is told about in a line."""

import json
import re
import sys

import pytest

from cals_mm.benchmark import Processes
from cals_mm.benchmark.execution import RunFailed

SHOW = "import json, os; print(json.dumps([os.environ.get('OMP_NUM_THREADS')]))"


def seen(processes, folder) -> str | None:
    """The variable as a command sees it."""
    log = folder / "log.txt"
    processes.call(lambda: [sys.executable, "-c", SHOW], log, folder / ".lock")
    return json.loads(log.read_text().splitlines()[-1])[0]


@pytest.fixture
def silent(monkeypatch):
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)


def test_several_get_a_thread_each(silent, tmp_path):
    processes = Processes(2)
    assert seen(processes, tmp_path) == "1"
    assert str(processes) == "2 trainings at a time, with OMP_NUM_THREADS=1 for each"


def test_one_at_a_time_chooses_itself(silent, tmp_path):
    assert seen(Processes(1), tmp_path) is None
    assert str(Processes(1)) == "one training at a time"


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_users_number_is_kept(silent, tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert seen(Processes(jobs), tmp_path) == "3"
    assert "=3 for each" in str(Processes(2))


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("os.kill(os.getpid(), 15)", "ended by SIGTERM; the same command goes on"),
        ("os.kill(os.getpid(), 9)", "SIGKILL, which the system sends when memory is short"),
        ("os.kill(os.getpid(), 40)", "ended by signal 40"),
        ("sys.exit('error: no such file')", "error: no such file"),
        ("sys.exit(3)", "all is well"),
    ],
)
def test_why_a_command_failed(tmp_path, ending, reason):
    script = f"import os, sys; print('all is well', flush=True); {ending}"
    log = tmp_path / "log.txt"
    with pytest.raises(RunFailed, match=re.escape(reason)) as failure:
        Processes(1).call(lambda: [sys.executable, "-c", script], log, tmp_path / ".lock")
    assert str(failure.value).endswith(f"(log: {log})")
    assert "\n" not in str(failure.value)
