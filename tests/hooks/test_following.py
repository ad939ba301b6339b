"""What a loss has learned comes along on resume, begins anew otherwise, and follows the loss."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner

from cals_mm.losses import StatefulLoss
from tests.tiny import tiny_config, train
from tests.tiny_classifier import tiny_classifier

FIRST: dict[str, torch.Tensor] = {}


@HOOKS.register_module()
class PeekHook(Hook):
    """Note the state of the loss before the first iteration."""

    priority = "LOWEST"

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if not FIRST:
            FIRST.update({k: v.clone() for k, v in state_of(runner).state_dict().items()})


@HOOKS.register_module()
class ExchangeHook(Hook):
    """Exchange the loss of the head before some iteration."""

    def __init__(self, at: int, loss: dict) -> None:
        self.at, self.loss = at, loss

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.at:
            runner.model.head.loss_module = MODELS.build(self.loss)


def loss_of(runner: Runner) -> torch.nn.Module:
    model = runner.model
    return model.head.loss_module if hasattr(model, "head") else model.decode_head.loss_decode


def state_of(runner: Runner) -> torch.nn.Module:
    return loss_of(runner).state


def log_of(cfg: Config) -> str:
    return "\n".join(path.read_text() for path in Path(cfg.work_dir).rglob("*.log"))


def segmentation(root: Path, steps: int, **changes: Any) -> Config:
    cfg = tiny_config(root, steps=steps, model__decode_head__loss_decode__margin="auto")
    cfg.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
    cfg.custom_hooks.append(dict(type="PeekHook"))
    cfg.log_level = "INFO"
    FIRST.clear()
    return cfg


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("old")
    train(segmentation(root, 3))
    return root, str(root / "work" / "epoch_3.pth")


def fresh_of(cfg: Config) -> dict[str, torch.Tensor]:
    return MODELS.build(cfg.model.decode_head.loss_decode).state.state_dict()


NEW_RUNS: dict[str, dict] = {
    "as it was": {},
    "a fixed margin": dict(model__decode_head__loss_decode__margin=7.0),
    "heuristic": dict(
        model__decode_head__loss_decode__rule="heuristic",
        model__decode_head__loss_decode__rho_interval=10,
        model__decode_head__loss_decode__margin=7.0,
    ),
}


@pytest.mark.parametrize(
    "kind, way",
    [
        *((kind, "load_from") for kind in NEW_RUNS),
        *((kind, "init_cfg") for kind in list(NEW_RUNS)[:2]),
    ],
)
def test_a_new_run_begins_anew(tmp_path: Path, old: tuple, kind: str, way: str) -> None:
    shutil.copytree(old[0] / "images", tmp_path / "images")
    shutil.copytree(old[0] / "labels", tmp_path / "labels")
    cfg = segmentation(tmp_path, 1, **NEW_RUNS[kind])
    if way == "load_from":
        cfg.load_from = old[1]
    else:
        cfg.model.init_cfg = dict(type="Pretrained", checkpoint=old[1])
    train(cfg)
    fresh = fresh_of(cfg)
    assert FIRST.keys() == fresh.keys()
    assert all(torch.equal(FIRST[key], value) for key, value in fresh.items())
    (line,) = (line for line in log_of(cfg).splitlines() if "begin at their first values" in line)
    assert "2 updates" in line or "checkpoint's" in line or kind == "heuristic"


@pytest.mark.parametrize("count", [5, 7, 19])
def test_the_number_of_classes_changes(tmp_path: Path, old: tuple, count: int) -> None:
    cfg = segmentation(tmp_path, 1)
    cfg.model.decode_head.num_classes = cfg.model.decode_head.loss_decode.num_classes = count
    for split in ("train", "val", "test"):
        meta = cfg[f"{split}_dataloader"].dataset.metainfo
        more = [f"class {k}" for k in range(4, count)]
        meta.update(classes=(*meta.classes, *more), palette=[[k, k, k] for k in range(count)])
    cfg.load_from = old[1]
    train(cfg)
    assert all(torch.equal(FIRST[key], value) for key, value in fresh_of(cfg).items())


@pytest.fixture(scope="module", params=NEW_RUNS)
def same_kind(
    request: pytest.FixtureRequest, old: tuple, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict]:
    """Checkpoint of a run, and the changes of its config."""
    changes = NEW_RUNS[request.param]
    if not changes:
        return old[1], changes
    root = tmp_path_factory.mktemp("same")
    train(segmentation(root, 3, **changes))
    return str(root / "work" / "epoch_3.pth"), changes


@pytest.mark.parametrize("load_state", [True, False])
def test_a_state_that_fits_is_taken_on_request(
    tmp_path: Path, same_kind: tuple, load_state: bool
) -> None:
    checkpoint, changes = same_kind
    cfg = segmentation(tmp_path, 1, **changes)
    cfg.custom_hooks[1].load_state = load_state
    cfg.load_from = checkpoint
    train(cfg)
    weights = torch.load(checkpoint, weights_only=False)["state_dict"]
    prefix = next(key for key in weights if key.endswith("num_updates"))[: -len("num_updates")]
    learned = {key: weights[prefix + key] for key in FIRST}
    expected = learned if load_state else fresh_of(cfg)
    assert all(torch.equal(FIRST[key], expected[key]) for key in FIRST)
    said = "go on after 2 updates" if load_state else "without those in the checkpoint (2 updates)"
    assert said in log_of(cfg)


@pytest.mark.parametrize("kind", ["a fixed margin", "no checkpoint", "resumed"])
def test_a_state_that_is_wanted_must_fit(tmp_path: Path, old: tuple, kind: str) -> None:
    changes = {} if kind == "no checkpoint" else NEW_RUNS["a fixed margin"]
    cfg = segmentation(tmp_path, 4, **changes)
    cfg.custom_hooks[1].load_state = kind != "resumed"
    cfg.load_from = None if kind == "no checkpoint" else old[1]
    cfg.resume = kind == "resumed"
    message = "no checkpoint with" if kind == "no checkpoint" else "cannot go on: the checkpoint's"
    with pytest.raises(ValueError, match=message) as error:
        train(cfg)
    assert "\n" not in str(error.value)


# --- a loss that is exchanged in mid-training -------------------------------------------------


SMOOTH = dict(type="LabelSmoothLoss", label_smooth_val=0.1, num_classes=10)
OTHER = dict(type="CALSLoss", num_classes=10, margin=0.05)


def classifier(root: Path, switched: dict, first: dict | None = None, steps: int = 4) -> Config:
    cfg = tiny_classifier(root, steps=steps)
    if first is not None:
        cfg.model.head.loss = first
    schedule = [dict(action_epoch=3, loss=switched)]
    cfg.custom_hooks.append(dict(type="SwitchRecipeHook", schedule=schedule))
    cfg.custom_hooks.append(dict(type="KeepLogitsHook"))
    cfg.log_level = "INFO"
    return cfg


def updates_in_log(cfg: Config) -> int:
    return sum("update " in line and "lambda" in line for line in log_of(cfg).splitlines())


def test_another_loss_of_the_kind_is_followed(tmp_path: Path) -> None:
    cfg = classifier(tmp_path, OTHER)
    runner = train(cfg)
    assert isinstance(loss_of(runner), StatefulLoss) and state_of(runner).margin == 0.05
    assert int(state_of(runner).num_updates) == 2
    assert updates_in_log(cfg) == 4
    assert "head.loss_module is another loss now, a CALSLoss" in log_of(cfg)


EXCHANGED = {
    "a margin": OTHER,
    "a rule": dict(OTHER, rule="heuristic"),
    "another loss": dict(type="AdaFocalLoss", num_bins=3),
}


@pytest.mark.parametrize("kind", EXCHANGED)
def test_resumed_after_the_exchange_equals_uninterrupted(tmp_path: Path, kind: str) -> None:
    """Before the exchange, right after it, and when the new loss has learned something."""
    whole = train(classifier(tmp_path, EXCHANGED[kind], steps=5)).model.state_dict()
    for epoch in (2, 3, 4):
        cfg = classifier(tmp_path, EXCHANGED[kind], steps=5)
        cfg.work_dir = str(tmp_path / f"resumed_{epoch}")
        cfg.resume, cfg.load_from = True, str(tmp_path / "work" / f"epoch_{epoch}.pth")
        runner = train(cfg)
        assert int(state_of(runner).num_updates) == 3
        state = runner.model.state_dict()
        assert [key for key in whole if not torch.equal(whole[key], state[key])] == [], epoch


def test_a_loss_without_state_ends_the_updates(tmp_path: Path) -> None:
    cfg = classifier(tmp_path, SMOOTH)
    train(cfg)
    assert updates_in_log(cfg) == 2
    (line,) = (line for line in log_of(cfg).splitlines() if "end here" in line)
    assert "WARNING" in line and "LabelSmoothLoss" in line
    history = torch.load(tmp_path / "work" / "epoch_4.pth", weights_only=False)["cals_history"]
    assert len(history["steps"]) == 2


def test_a_loss_that_comes_later_is_found(tmp_path: Path) -> None:
    cfg = classifier(tmp_path, OTHER, first=dict(type="CrossEntropyLoss"))
    assert int(state_of(train(cfg)).num_updates) == 2


def test_an_exchange_between_two_iterations(tmp_path: Path) -> None:
    cfg = tiny_classifier(tmp_path, steps=3)
    cfg.custom_hooks.append(dict(type="ExchangeHook", at=3, loss=dict(OTHER)))
    runner = train(cfg)
    assert int(state_of(runner).num_updates) == 2
    logged = runner.message_hub.get_scalar("train/cals_penalty").current()
    assert logged == pytest.approx(float(loss_of(runner).last_parts.penalty))


def test_an_exchange_for_a_loss_with_other_curves(tmp_path: Path) -> None:
    cfg = classifier(tmp_path, dict(type="AdaFocalLoss", num_bins=3))
    runner = train(cfg)
    assert int(state_of(runner).num_updates) == 2
