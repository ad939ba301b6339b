"""Tasks, their methods, candidate settings, and the choice between them."""

import math
from pathlib import Path

import pytest
from mmengine.config import Config

from cals_mm import with_method
from cals_mm.benchmark import (
    CRITERION,
    TASKS,
    Budget,
    Run,
    Setting,
    candidates,
    check_methods,
    choose,
)
from cals_mm.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]


def tried(name, tries, margin=8.0, **options):
    head = {"type": "LinearClsHead", "num_classes": 4, "in_channels": 8}
    model = {"type": "ImageClassifier", "head": head}
    cfg = Config({"model": model, "val_dataloader": {"batch_size": 1}})
    if margin:
        cfg.method_defaults = {"margin": margin}
    return candidates(with_method(cfg, name, **options), METHODS[name], tries)


def names(*args, **options):
    return [setting.name for setting in tried(*args, **options)]


def test_the_config_is_tried_first_and_once():
    assert names("cals", 3) == ["default", "margin=6", "margin=12"]
    assert names("focal", 3, gamma=2.0) == ["default", "gamma=3", "gamma=1"]
    assert names("cals", 1) == ["default"]
    assert names("cals", 2, margin=None) == ["default", "margin=7.5"], "the loss's default"
    assert names("cals", 3, margin="auto") == ["default", "margin=10", "margin=7.5"]
    assert tried("cals", 2)[1].options == (("margin", 6.0),)


def test_a_method_without_knob_has_one_setting():
    assert names("ce", 3) == ["default"]
    assert names("brier", 5) == ["default"]


def test_too_many_tries():
    with pytest.raises(ValueError, match="--tries 9, but only 5 settings of cals"):
        names("cals", 9)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_method_of_a_task_has_what_is_tried(task):
    cfg = Config.fromfile(ROOT / task.config, import_custom_modules=False)
    assert cfg.default_hooks.checkpoint.save_best == task.main.key
    for name in check_methods(ROOT, task, None):
        method = METHODS[name]
        settings = candidates(with_method(cfg, name), method, 3)
        assert len(settings) == (3 if method.knob else 1)


def test_the_lowest_held_out_nll_is_chosen():
    a, b, c = (Setting(name) for name in "abc")
    ece = "calibration/ECE"
    figures = {a: {CRITERION: 0.5, ece: 1.0}, b: {CRITERION: 0.4, ece: 9.0}, c: {CRITERION: 0.4}}
    assert choose(figures) == b, "of equal ones the first"
    assert choose({a: {CRITERION: math.nan}, c: {CRITERION: 2.0}}) == c
    with pytest.raises(ValueError, match="no setting has a finite"):
        choose({a: {CRITERION: math.inf}})


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_can_be_trained_shorter(task, tmp_path):
    budget = Budget(ROOT, tmp_path, epochs=2)
    cfg = Run(budget, task, "cals", Setting("default"), 5).config()
    assert cfg.train_cfg.max_epochs == 2
    assert {s.get("end", 2) for s in cfg.get("param_scheduler") or []} <= {2}
    assert cfg.randomness.seed == 5


def test_methods_of_a_task():
    digits, streets = (check_methods(ROOT, TASKS[name], None) for name in ("digits-lt", "demo"))
    assert digits == [n for n, method in METHODS.items() if method.only != "segmentation"]
    assert streets == [n for n, method in METHODS.items() if method.only != "classification"]
    docs = check_methods(ROOT, TASKS["stdlib-docs"], None)
    assert "cals_sample" not in docs, "their number depends on the version of Python"
    assert check_methods(ROOT, TASKS["digits-lt"], ["cals", "ce"]) == ["cals", "ce"]


def test_unknown_methods_name_those_there_are():
    with pytest.raises(ValueError, match=r"no method 'calls'; it has ce, .*cals"):
        check_methods(ROOT, TASKS["digits-lt"], ["ce", "calls"])
    with pytest.raises(ValueError, match="twice"):
        check_methods(ROOT, TASKS["digits-lt"], ["ce", "ce"])
