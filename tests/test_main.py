"""The command ``cals``, which is ``python -m cals_mm`` too."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cals_mm.__main__ import COMMANDS, main
from cals_mm.environment import main as env
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
    assert env() == 0
    found = facts(capsys.readouterr().out)
    assert found["CALS_MM_BACKEND"] == "eager"
    assert found["loss on cpu"] == "eager for float32, eager for bfloat16"


def test_an_unknown_backend_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("CALS_MM_BACKEND", "cuda")
    assert env() == 2
    told = capsys.readouterr()
    assert not told.out and len(told.err.splitlines()) == 1
    assert "CALS_MM_BACKEND='cuda': choose one of" in told.err


def test_env_takes_no_arguments(capsys):
    assert env(["--all"]) == 2
    assert capsys.readouterr().err == "error: env takes no arguments, got --all\n"


def test_every_command_has_its_module_and_every_module_its_command():
    for module, _ in COMMANDS.values():
        source = Path(importlib.util.find_spec(module).origin).read_text("utf-8")
        functions = [node.name for node in ast.parse(source).body if hasattr(node, "name")]
        assert "main" in functions, module
    there = {
        file.stem
        for file in (ROOT / "cals_mm" / "commands").glob("*.py")
        if "\ndef main(argv" in file.read_text("utf-8")
    }
    named = {module for module, _ in COMMANDS.values()} - {"cals_mm.environment"}
    there.remove("tables")  # renders the pages of a checkout
    assert {f"cals_mm.commands.{stem}" for stem in there} == named


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")


def test_help_names_every_command(capsys):
    main([])
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in COMMANDS)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out == printed


USAGE = ("suggest-margin", "--help")


def test_only_the_chosen_command_is_imported():
    code = "import sys; from cals_mm.__main__ import main; main(sys.argv[1:])"
    loaded = "; print('cals_mm.runs' in sys.modules)"
    assert python(code + loaded).stdout.splitlines()[-1] == "False"
    run = python(
        f"try:\n {code}\nfinally:\n print('cals_mm.commands.train' in sys.modules)", *USAGE
    )
    assert run.stdout.startswith("usage: cals suggest-margin [-h]")
    assert run.stdout.splitlines()[-1] == "False"


def test_errors_of_a_command_are_one_line(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train", "configs/nothing.py"])
    assert caught.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: config file 'configs/nothing.py' does not exist")
    assert "cals_mm::cals/deeplabv3_demo.py" in line


@pytest.mark.parametrize(
    "name", ["cals_mm::ce/resnet_digit-lt.py", "configs/ce/resnet_digits_lt.py"]
)
def test_a_wrong_name_of_a_config_suggests_the_one_most_like_it(capsys, name):
    with pytest.raises(SystemExit):
        main(["train", name])
    assert "such as cals_mm::ce/resnet_digits-lt.py" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["trian"], ["--nonsense"]])
def test_an_unknown_command(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: cals COMMAND" in capsys.readouterr().err


def test_without_mmengine_a_command_names_the_extra():
    block = (
        "import sys; sys.modules['mmengine'] = None; "
        "from cals_mm.__main__ import main; main(sys.argv[1:])"
    )
    run = python(block, "train")
    assert run.returncode == 2
    assert (
        run.stderr.startswith("error: the command line needs mmengine") and "[onedl]" in run.stderr
    )
    assert python(block, "env").returncode == 0
