"""Mixed precision that is slower than none is told about."""

import platform

import pytest
import torch

from cals_mm import runs
from cals_mm.runs import amp


@pytest.mark.parametrize(
    ("device", "machine", "capability", "slow"),
    [
        ("cpu", "x86_64", "AVX2", True),
        ("cpu", "AMD64", "DEFAULT", True),
        ("cpu", "x86_64", "AVX512", False),
        ("cpu", "aarch64", "DEFAULT", False),
        ("cuda", "x86_64", "AVX2", False),
    ],
)
def test_note_of_slow_precision(monkeypatch, device, machine, capability, slow):
    monkeypatch.setattr(amp, "get_device", lambda: device)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    note = runs.note_of_slow_precision()
    assert ("leave --amp away" in note) if slow else note is None


def test_it_is_a_line_of_the_training(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(runs, "note_of_slow_precision", lambda: "note: slow")
    from cals_mm.commands.train import main

    main(
        ["configs/ce/resnet_digits-lt.py", "--amp"]
        + ["--work-dir", str(tmp_path), "--dump", str(tmp_path / "dumped.py")]
    )
    assert "note: slow" in capsys.readouterr().out.splitlines()
