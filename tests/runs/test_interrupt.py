"""What each command says after Ctrl-C; predictions are in ``tests/prediction``."""

import importlib
import sys

import pytest

from cals_mm import runs
from cals_mm.__main__ import COMMANDS, main
from cals_mm.benchmark import Campaign

DEMO = "configs/ce/resnet_digits-lt.py"
ARGUMENTS = {
    "train": [DEMO],
    "test": [DEMO, "x.pth"],
    "predict": [DEMO, "x.pth", "photos", "--out", "out"],
    "calibrate": [DEMO, "x.pth", "--method", "temperature"],
    "export-onnx": [DEMO, "x.pth", "x.onnx", "--size", "8", "8"],
    "suggest-margin": [DEMO, "x.pth"],
    "analyze": ["work_dirs/ce"],
    "benchmark": ["--task", "digits-lt", "--methods", "ce", "cals"],
    "demo": ["--task", "classification"],
}
GOES_ON = "interrupted; the same command goes on\n"


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def said(command, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cals"])
    with pytest.raises(SystemExit) as end:
        main([command, *ARGUMENTS[command]])
    assert end.value.code == 130
    return capsys.readouterr().err


def test_every_command_is_here():
    assert {*ARGUMENTS, "env"} == set(COMMANDS)  # which ends at once


@pytest.mark.parametrize("command", ARGUMENTS)
def test_before_it_has_begun(command, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "load_config", interrupt)
    monkeypatch.setattr(runs, "check_writable", interrupt)
    monkeypatch.setattr(importlib.import_module(COMMANDS["analyze"][0]), "find_run", interrupt)
    expected = GOES_ON if command in ("benchmark", "demo") else "interrupted\n"
    assert said(command, capsys, monkeypatch, tmp_path) == expected


def test_a_training_is_resumed(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "build_runner", interrupt)
    last = said("train", capsys, monkeypatch, tmp_path).splitlines()[-1]
    assert last == "interrupted; add --resume to continue from the last checkpoint"


@pytest.mark.parametrize("command", ["benchmark", "demo"])
def test_a_comparison_goes_on(command, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(Campaign, "run", interrupt)
    assert said(command, capsys, monkeypatch, tmp_path).endswith(GOES_ON)


def test_while_the_libraries_are_imported(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("cals_mm.__main__.import_module", interrupt)
    assert said("train", capsys, monkeypatch, tmp_path) == "interrupted\n"
