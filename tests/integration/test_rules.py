"""CALS-HR and the automatic margin in whole runs: their state is in checkpoints and in the log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cals_mm.runs import use_mixed_precision
from tests.tiny import MARGIN, small_auto_margin, tiny_config, train
from tests.tiny_classifier import tiny_classifier

LOSS = "model__head__loss__"
RULES: dict[str, dict[str, Any]] = {
    "heuristic": {LOSS + "rule": "heuristic", LOSS + "rho_interval": 10},
    "auto": {LOSS + "margin": "auto"},
}


@pytest.fixture(autouse=True)
def small_margins() -> Iterator[None]:
    with small_auto_margin():
        yield


@pytest.mark.parametrize("rule", RULES)
def test_resumed_equals_uninterrupted(tmp_path: Path, rule: str) -> None:
    whole = train(tiny_classifier(tmp_path, 3, **RULES[rule])).model
    cfg = tiny_classifier(tmp_path, 3, work_dir=str(tmp_path / "resumed"), **RULES[rule])
    cfg.resume, cfg.load_from = True, str(tmp_path / "work" / "epoch_2.pth")
    resumed = train(cfg).model
    assert int(whole.head.loss_module.rule.num_updates) == 3
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    assert resumed.head.loss_module.rule.margin == whole.head.loss_module.rule.margin
    moved = whole.head.loss_module.state.curves()["lambda" if rule == "heuristic" else "margin"]
    assert not (moved == (0.1 if rule == "heuristic" else torch.tensor(0.02))).all()


def test_margin_is_logged_and_kept(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, **RULES["auto"])
    cfg.custom_hooks = [dict(type="CALSMultiplierHook")]
    cfg.vis_backends = [dict(type="LocalVisBackend")]
    cfg.visualizer = dict(type="UniversalVisualizer", vis_backends=cfg.vis_backends)
    runner = train(cfg)
    (scalars,) = (tmp_path / "work").rglob("scalars.json")
    assert '"cals/margin": ' in scalars.read_text()
    assert list((tmp_path / "work").rglob("cals_multipliers*.png"))
    history = torch.load(tmp_path / "work" / "epoch_2.pth", weights_only=False)["cals_history"]
    assert history.keys() == {"steps", "multipliers", "rho", "margin", "temperature", "gap"}
    assert history["margin"].shape == (1,) and history["margin"][0] != 0.02
    assert runner.model.head.loss_module.rule.margin != history["margin"][0]


@pytest.mark.parametrize("loop", ["epoch", "iter"])
@pytest.mark.parametrize("ema", [None, {}, {"update_buffers": True}])
def test_a_segmentor_resumes_bitwise(tmp_path: Path, loop: str, ema: dict | None) -> None:
    """Also where the validation, and so the margin, is that of averaged weights."""
    states = []
    for work_dir, checkpoint in (("work", None), ("resumed", f"work/{loop}_2.pth")):
        cfg = tiny_config(tmp_path, loop, 3, work_dir=str(tmp_path / work_dir))
        cfg.model.decode_head.loss_decode.margin = "auto"
        if ema is not None:
            cfg.custom_hooks.append(dict(type="EMAHook", momentum=0.5, **ema))
        if checkpoint:
            cfg.resume, cfg.load_from = True, str(tmp_path / checkpoint)
        states.append(train(cfg).model)
    whole, resumed = states
    key = "decode_head.loss_decode.lagrangian.auto_margin."
    assert whole.state_dict()[key + "margin"] != torch.tensor(MARGIN)
    assert whole.state_dict()[key + "gap"] != 0
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    rules = [model.decode_head.loss_decode.rule for model in states]
    assert rules[0].margin == rules[1].margin == float(rules[0].auto_margin.margin)


def test_mixed_precision(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path)
    cfg.model.decode_head.loss_decode.margin = "auto"
    use_mixed_precision(cfg)
    state = train(cfg).model.decode_head.loss_decode.rule.auto_margin
    assert state.value != MARGIN and state.margin.dtype == torch.float32
    assert float(state.gap) != 0
