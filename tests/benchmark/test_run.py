"""A run knows the config that its command trains: else a stopped one could not be gone on with."""

from pathlib import Path

import pytest
from mmengine.config import Config

from cals_mm.benchmark import TASKS, Budget, Run, Setting, task_of
from cals_mm.benchmark.execution.fingerprint import TESTING, TRAINING, fingerprint
from cals_mm.commands.train import main as train
from cals_mm.config import suitable_methods

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = Setting("default")


def as_dumped(run: Run, file: Path) -> Config:
    """What tools/train.py makes of the run's command."""
    train([*run.train_command()[2:], "--dump", str(file)])
    return Config.fromfile(file, import_custom_modules=False)


def same(run: Run, file: Path) -> bool:
    mine, dumped = run.config(), as_dumped(run, file)
    return all(
        fingerprint(mine, parts) == fingerprint(dumped, parts) for parts in (TRAINING, TESTING)
    )


@pytest.mark.parametrize("name", ["camvid", "digits-lt", "stdlib-docs"])
def test_the_command_trains_the_config_of_the_run(name, tmp_path):
    task = TASKS[name]
    budget = Budget(ROOT, tmp_path, epochs=3)
    for method in suitable_methods(Config.fromfile(ROOT / task.config)):
        run = Run(budget, task, method, Setting("default"), 4)
        assert same(run, tmp_path / f"{method}.py"), method


def test_also_with_a_setting_and_mixed_precision(tmp_path):
    budget = Budget(ROOT, tmp_path, amp=True)
    run = Run(budget, TASKS["demo"], "cals", Setting("margin=6", (("margin", 6.0),)), 0)
    assert same(run, tmp_path / "cals.py")
    assert run.config().model.decode_head.loss_decode.margin == 6.0


def test_precision_is_the_same_on_every_machine(tmp_path, monkeypatch):
    run = Run(Budget(ROOT, tmp_path, amp=True), TASKS["demo"], "ce", Setting("default"), 0)
    full = Run(Budget(ROOT, tmp_path), TASKS["demo"], "ce", Setting("default"), 0)
    found = {}
    for device in ("cpu", "cuda"):
        monkeypatch.setattr("cals_mm.runs.amp.get_device", lambda device=device: device)
        found[device] = fingerprint(run.config(), TRAINING)
    assert found["cpu"] == found["cuda"] != fingerprint(full.config(), TRAINING)


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("load_from", "weights.pth", (TRAINING,)),
        ("auto_scale_lr", {"enable": True, "base_batch_size": 16}, (TRAINING,)),
        ("data_preprocessor", {"mean": [1.0]}, (TRAINING, TESTING)),
    ],
)
def test_what_stands_at_the_top_changes_the_training_too(key, value, parts):
    cfg = Config({"model": {"type": "ImageClassifier"}})
    changed = Config({**cfg, key: value})
    for each in parts:
        assert fingerprint(cfg, each) != fingerprint(changed, each)


def test_what_has_no_effect_does_not():
    own = {"type": "EncoderDecoder", "data_preprocessor": {"mean": [1.0]}}
    cfg = Config({"model": own})
    unused = {"data_preprocessor": {"mean": [2.0]}, "auto_scale_lr": {"enable": False}}
    assert fingerprint(cfg, TRAINING) == fingerprint(Config({**cfg, **unused}), TRAINING)
    alone = Config({"model": {"type": "EncoderDecoder"}, "data_preprocessor": {"mean": [1.0]}})
    assert fingerprint(cfg, TRAINING) == fingerprint(alone, TRAINING), "as MMEngine builds it"


def test_a_config_that_keeps_one_checkpoint_keeps_two(tmp_path):
    cfg = Config.fromfile(ROOT / TASKS["digits-lt"].config)
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    cfg.dump(tmp_path / "mine.py")
    cfg = Config.fromfile(tmp_path / "mine.py")
    run = Run(Budget(ROOT, tmp_path), task_of(cfg, tmp_path / "mine.py"), "ce", DEFAULT, 0)
    assert run.config().default_hooks.checkpoint.max_keep_ckpts == 2


def lasting(tmp_path, schedulers, epochs, max_epochs=300):
    """Changes of a config with these schedules that is to train for ``epochs``."""
    (tmp_path / TASKS["demo"].config).parent.mkdir(parents=True, exist_ok=True)
    cfg = Config.fromfile(ROOT / TASKS["demo"].config)
    cfg.param_scheduler, cfg.train_cfg.max_epochs = schedulers, max_epochs
    cfg.dump(tmp_path / TASKS["demo"].config)
    budget = Budget(tmp_path, tmp_path, epochs=epochs)
    run = Run(budget, TASKS["demo"], "ce", Setting("default"), 0)
    changes = run.changes()
    assert changes.pop("train_cfg.max_epochs") == epochs
    assert run.config().train_cfg.max_epochs == epochs
    return changes


def test_schedules_to_the_end_follow_the_length_and_warm_ups_stay(tmp_path):
    warm_up = dict(type="LinearLR", start_factor=0.01, end=20)
    by_iteration = dict(type="LinearLR", start_factor=0.01, by_epoch=False, end=300)
    cosine = dict(type="CosineAnnealingLR", T_max=280, begin=20, end=300)
    poly = dict(type="PolyLR", power=0.9, end=300)
    found = lasting(tmp_path, [warm_up, by_iteration, cosine, poly], 100)
    assert found == {
        "param_scheduler.2.end": 100,
        "param_scheduler.2.T_max": 80,
        "param_scheduler.3.end": 100,
    }
    assert lasting(tmp_path, dict(poly), 100) == {"param_scheduler.end": 100}
    assert lasting(tmp_path, [warm_up, cosine], 10) == {}, "the second is never reached"


def test_also_where_nobody_chose_a_margin(tmp_path):
    (tmp_path / "configs/ce").mkdir(parents=True)
    cfg = Config.fromfile(ROOT / TASKS["digits-lt"].config)
    cfg.pop("method_defaults")
    cfg.dump(tmp_path / TASKS["digits-lt"].config)
    run = Run(Budget(tmp_path, tmp_path), TASKS["digits-lt"], "cals", Setting("default"), 0)
    assert same(run, tmp_path / "cals.py")
    assert run.config().model.head.loss.margin == "auto"
