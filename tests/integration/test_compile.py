"""Training with MMEngine's ``compile``, which hands the train step to ``torch.compile``."""

from __future__ import annotations

import pytest
import torch

from tests.functional.loss_cases import needs_tracing
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier

# Traced as by the default, without its C++ compiler, which would take a minute.
COMPILE = dict(backend="aot_eager")


@needs_tracing
@pytest.mark.slow  # torch.compile traces for a while
@pytest.mark.parametrize("config", [tiny_config, tiny_classifier])
def test_a_compiled_run_learns_what_another_one_learns(config, tmp_path):
    states = []
    for number, changes in enumerate(({}, {"compile": COMPILE})):
        torch._dynamo.reset()
        cfg = config(tmp_path, steps=1)
        cfg.work_dir = str(tmp_path / f"run_{number}")
        cfg.merge_from_dict(changes)
        states.append(train(cfg).model.state_dict())
    torch._dynamo.reset()
    plain, compiled = states
    assert plain.keys() == compiled.keys()
    assert any("multipliers" in name for name in plain)
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-4)
