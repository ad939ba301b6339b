"""A run in which the multipliers will hardly move says so at its start."""

import re
from pathlib import Path

import pytest

from tests.tiny import tiny_config, train

EPOCHS, ITERS = "EpochBasedTrainLoop", "IterBasedTrainLoop"
NEVER = "no validation will run"
CASES = {
    "begins too late": (dict(type=EPOCHS, max_epochs=2, val_begin=9), NEVER, 0),
    "begins too late, iterations": (dict(type=ITERS, max_iters=3, val_begin=9), NEVER, 0),
    "at the end only": (dict(type=EPOCHS, max_epochs=3, val_interval=9), "with 1 of them", 1),
    "rarely": (dict(type=ITERS, max_iters=6, val_interval=4), "with 2 of them", 2),
    "ever rarer": (
        dict(type=ITERS, max_iters=8, val_interval=2, dynamic_intervals=[(5, 9)]),
        "with 2 of them",
        2,
    ),
    "with a cure": (
        dict(type=ITERS, max_iters=40, val_interval=10),
        r"set train_cfg = dict\(val_begin=1, val_interval=2\)",
        4,
    ),
    "often enough": (dict(type=ITERS, max_iters=20, val_interval=1), None, 20),
}


@pytest.mark.parametrize("kind", CASES)
def test_few_updates_are_announced(tmp_path: Path, kind: str) -> None:
    train_cfg, message, updates = CASES[kind]
    cfg = tiny_config(tmp_path, "epoch" if train_cfg["type"] == EPOCHS else "iter")
    cfg.train_cfg = train_cfg
    cfg.default_hooks.checkpoint.interval = 100
    runner = train(cfg)
    assert int(runner.model.decode_head.loss_decode.state.num_updates) == updates
    log = "\n".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    said = [line for line in log.splitlines() if "WARNING" in line and "multipliers" in line]
    assert len(said) == (message is not None)
    if message:
        assert re.search(message, said[0])
        assert "train_cfg" in said[0] or "train longer" in said[0]
