"""The hook drives any loss with a learned state, not only CALSLoss."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm.core import LearnedState
from cals_mm.hooks.multiplier_history import MultiplierHistory
from cals_mm.losses import CALSLoss, LossCall, StatefulLoss
from cals_mm.visualization import state_curves
from tests.tiny import train
from tests.tiny_classifier import tiny_classifier


class LabelCounts:
    """Counts of the labels that the hook hands over."""

    def __init__(self) -> None:
        self.count, self.labels = torch.zeros((), dtype=torch.int64), torch.zeros(10)

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        assert mask is not None and target is not None and logits.shape == (len(target), 10)
        self.count += mask.sum()
        self.labels += torch.bincount(target[mask], minlength=10)

    def reset_(self) -> None:
        self.count.zero_()
        self.labels.zero_()

    def all_reduce_(self) -> "LabelCounts":
        return self


class Shares(LearnedState):
    """The share of each label in the last validation."""

    learned = "shares"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shares", torch.zeros(10))
        self.register_buffer("total", torch.zeros(()))

    def start_dual_epoch(self) -> LabelCounts:
        return LabelCounts()

    def _update_(self, statistics: LabelCounts, validation: int) -> None:
        self.shares.copy_(statistics.labels / statistics.count)
        self.total += statistics.count

    def curves(self) -> dict[str, Tensor]:
        return {"share": self.shares, "total": self.total}

    def entry_names(self, curve: str) -> list[str]:
        return [f"digit {k}" for k in range(10)]


@MODELS.register_module()
class CountingLoss(StatefulLoss):
    """Cross entropy beside a state of no use."""

    def __init__(self) -> None:
        super().__init__(Shares(), "counts")

    def mean_loss(self, call: LossCall) -> Tensor:
        self.require_hook()
        return F.cross_entropy(call.logits, call.target)


def counting(root: Path, **changes):
    cfg = tiny_classifier(root, **changes)
    cfg.model.head.loss = dict(type="CountingLoss")
    return cfg


def test_any_loss_follows_the_validation(tmp_path: Path) -> None:
    cfg = counting(tmp_path, custom_hooks=[dict(type="CALSMultiplierHook")])
    cfg.vis_backends = [dict(type="LocalVisBackend")]
    cfg.visualizer = dict(type="UniversalVisualizer", vis_backends=cfg.vis_backends)
    runner = train(cfg)
    size = len(runner.val_dataloader.dataset)
    loss = runner.model.head.loss_module
    assert int(loss.counts.total) == 2 * size
    torch.testing.assert_close(loss.counts.shares.sum(), torch.tensor(1.0))
    (scalars,) = (tmp_path / "work").rglob("scalars.json")
    for name in ("counting/share/digit 3", "counting/share_max", '"counting/total": 14'):
        assert name in scalars.read_text()
    assert list((tmp_path / "work").rglob("counting_shares*.png"))
    history = torch.load(tmp_path / "work" / "epoch_2.pth", weights_only=False)["cals_history"]
    assert history["total"].tolist() == [size]


def test_training_without_the_hook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CountingLoss is trained, but no hook updates its shares"):
        train(counting(tmp_path, custom_hooks=[]))


def test_two_kinds_of_losses_need_a_name() -> None:
    from cals_mm.hooks._locate import locate_loss

    model = torch.nn.ModuleDict({"a": CALSLoss(3), "b": CountingLoss()})
    with pytest.raises(ValueError, match=r"2 CALSLoss and CountingLoss modules \(a, b\)"):
        locate_loss(model)
    assert locate_loss(model, "b")[0] is model["b"]


def test_history_of_an_older_checkpoint_goes_on() -> None:
    """Checkpoints knew multipliers and rho; a curve that comes later has a gap before."""
    old = {"steps": torch.tensor([2]), "multipliers": torch.ones(1, 3), "rho": torch.ones(1, 3)}
    history = MultiplierHistory()
    history.load({"cals_history": old})
    again: dict = {}
    history.save(again)
    assert again["cals_history"].keys() == old.keys()
    assert all(torch.equal(again["cals_history"][key], old[key]) for key in old)


def test_a_curve_may_begin_late_or_end_early() -> None:
    class Runner:
        iter = 4
        logger = type("", (), {"info": staticmethod(lambda text: None)})
        visualizer = type("", (), {"add_scalars": staticmethod(lambda scalars, step: None)})
        val_dataloader = type("", (), {"dataset": None})

    class State(LearnedState):
        def curves(self) -> dict[str, Tensor]:
            return {"lambda": torch.ones(3), "margin": torch.tensor(5.0)}

    old = {"steps": torch.tensor([2]), "multipliers": torch.ones(1, 3), "rho": torch.ones(1, 3)}
    history = MultiplierHistory()
    history.load({"cals_history": old})
    history.append(Runner(), StatefulLoss(State(), "state"))  # type: ignore[arg-type]
    saved: dict = {}
    history.save(saved)
    saved = saved["cals_history"]
    assert saved["steps"].tolist() == [2, 4]
    assert saved["margin"].isnan().tolist() == [True, False] and saved["margin"][1] == 5
    assert saved["rho"].isnan().tolist() == [[False] * 3, [True] * 3]
    assert saved["multipliers"].shape == (2, 3)


@pytest.mark.parametrize("margin", [[5.0, 6.0], [float("nan"), 6.0]])
def test_single_numbers_are_drawn(margin: list[float]) -> None:
    plain = state_curves([1, 2], {"lambda": [[0.0, 1.0], [1.0, 2.0]]})
    both = state_curves([1, 2], {"lambda": [[0.0, 1.0], [1.0, 2.0]], "margin": margin})
    assert both.shape[0] > plain.shape[0] and both.std() > 5
    assert state_curves([1, 2], {"margin": margin}).std() > 5
    with pytest.raises(ValueError, match="do not fit 2 steps"):
        state_curves([1, 2], {"margin": [1.0]})
