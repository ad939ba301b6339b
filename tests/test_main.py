"""``python -m cals_mm``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from cals_mm.__main__ import main
from cals_mm.functional.backends.installed import NATIVE
from cals_mm.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def facts(text: str) -> dict[str, str]:
    rows = [line.split("  ", 1) for line in text.splitlines()]
    return {name.strip(): value.strip() for name, value in rows}


def test_it_tells_versions_backends_and_threads():
    environment = {k: v for k, v in os.environ.items() if k != "CALS_MM_BACKEND"}
    threads = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}  # torch goes by either
    environment |= {"PYTHONPATH": str(ROOT), **threads}
    command = [sys.executable, "-m", "cals_mm"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    assert run.returncode == 0, run.stderr
    found = facts(run.stdout)
    assert found["cals_mm"] == __version__ and found["torch"] == torch.__version__
    assert found["mmengine"][0].isdigit()
    assert {"mmcv", "mmseg", "mmpretrain"} <= set(found)
    assert found["CALS_MM_BACKEND"] == "not set (auto)"
    if NATIVE is None:
        assert found["loss on cpu"] == "chunked for float32, chunked for bfloat16"
        assert "C compiler" in found["compiled kernels"]
        return
    assert found["backends on cpu"] == "native, chunked, eager"
    assert found["loss on cpu"].startswith("native for float32, ")
    assert found["compiled kernels"] == f"instruction set {NATIVE.instruction_set}"
    assert found["threads"].startswith("2 (torch's)" if NATIVE.shares_threads() else "1: ")


def test_it_tells_what_was_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("CALS_MM_BACKEND", "eager")
    assert main() == 0
    found = facts(capsys.readouterr().out)
    assert found["CALS_MM_BACKEND"] == "eager"
    assert found["loss on cpu"] == "eager for float32, eager for bfloat16"


def test_an_unknown_backend_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("CALS_MM_BACKEND", "cuda")
    assert main() == 2
    told = capsys.readouterr()
    assert not told.out and len(told.err.splitlines()) == 1
    assert "CALS_MM_BACKEND='cuda': choose one of" in told.err
