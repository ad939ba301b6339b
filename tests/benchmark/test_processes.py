"""Commands side by side get a thread each, unless the user says otherwise."""

import json
import sys

import pytest

from cals_mm.benchmark import Processes

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
