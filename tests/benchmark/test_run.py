"""A run knows the config that its command trains: else a stopped one could not be gone on with."""

from pathlib import Path

import pytest
from mmengine.config import Config

from cals_mm.benchmark import TASKS, Budget, Run, Setting
from cals_mm.benchmark.execution.fingerprint import TESTING, TRAINING, fingerprint
from cals_mm.commands.train import main as train
from cals_mm.config import suitable_methods

ROOT = Path(__file__).resolve().parents[2]


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


def test_also_where_nobody_chose_a_margin(tmp_path):
    (tmp_path / "configs/ce").mkdir(parents=True)
    cfg = Config.fromfile(ROOT / TASKS["digits-lt"].config)
    cfg.pop("method_defaults")
    cfg.dump(tmp_path / TASKS["digits-lt"].config)
    run = Run(Budget(tmp_path, tmp_path), TASKS["digits-lt"], "cals", Setting("default"), 0)
    assert same(run, tmp_path / "cals.py")
    assert run.config().model.head.loss.margin == "auto"
