"""`.ci/quietly`, which installs for `make`: one line, and the reason of a failure."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def quietly(log: Path, script: str, **variables: str) -> subprocess.CompletedProcess:
    plain = {k: v for k, v in os.environ.items() if k not in ("CI", "VERBOSE")}
    command = [ROOT / ".ci" / "quietly", "installing", log, "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, env={**plain, **variables})


def test_all_output_goes_to_the_log(tmp_path):
    log = tmp_path / "log"
    run = quietly(log, "echo Collecting torch; echo warning >&2")
    assert run.returncode == 0 and run.stderr == ""
    begin, end = run.stdout.splitlines()
    assert begin == f"installing (log: {log})" and end.startswith("installing: done in ")
    assert log.read_text() == "Collecting torch\nwarning\n"


def test_the_end_of_the_log_of_a_failure_is_shown(tmp_path):
    log = tmp_path / "log"
    run = quietly(log, "seq 100; echo no space left >&2; exit 3")
    assert run.returncode == 3
    lines = run.stderr.splitlines()
    assert lines[-2:] == [
        "no space left",
        f"installing: failed (exit code 3); the whole log: {log}",
    ]
    assert "100" in lines and "50" not in lines


@pytest.mark.parametrize("variable", ["CI", "VERBOSE"])
def test_all_is_shown_on_request(tmp_path, variable):
    run = quietly(tmp_path / "log", "echo Collecting torch; exit 3", **{variable: "1"})
    assert (run.returncode, run.stdout) == (3, "Collecting torch\n")
