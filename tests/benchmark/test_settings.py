"""Candidate settings, and the choice between them."""

import math
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from cals_mm.benchmark import CRITERION, TASKS, Knob, Setting, candidates, choose
from cals_mm.benchmark.settings import KNOBS, configured_loss
from cals_mm.benchmark.tasks import check_methods, methods_with_config

ROOT = Path(__file__).resolve().parents[2]


def names(method, loss, tries):
    return [setting.name for setting in candidates(method, loss, "model.head.loss", tries)]


def test_the_config_is_tried_first_and_once():
    assert names("cals", {"margin": 8.0}, 3) == ["default", "margin=6", "margin=12"]
    assert names("focal", {"gamma": 2.0}, 3) == ["default", "gamma=3", "gamma=5"]
    assert names("cals", {"margin": 8.0}, 1) == ["default"]
    assert names("cals", {}, 1) == ["default"]
    assert names("cals", {"type": "CALSLoss"}, 2) == ["default", "margin=7.5"], "the default"
    (setting,) = candidates("cals", {"margin": 8.0}, "model.head.loss", 2)[1:]
    assert setting.options == (("model.head.loss.margin", 6.0),)


def test_a_method_without_knob_has_one_setting():
    assert names("ce", None, 3) == ["default"]
    assert names("brier", {"type": "BrierLoss"}, 5) == ["default"]


def test_too_many_tries_and_configs_without_the_argument():
    with pytest.raises(ValueError, match="--tries 9, but only 5 settings of cals"):
        names("cals", {"margin": 8.0}, 9)
    with pytest.raises(ValueError, match=r"no number as model\.head\.loss\.margin"):
        names("cals", {"type": "BrierLoss"}, 2)


def test_factors_and_values():
    assert Knob("m", factors=(0.5, 1.0, 2.0)).others(3.0) == [1.5, 6.0]
    assert Knob("a", values=(0.1, 0.2)).others(0.1 + 1e-17) == [0.2]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_config_has_what_is_tried(task):
    for method in methods_with_config(ROOT, task):
        file = ROOT / "configs" / method / f"{task.config}.py"
        cfg = Config.fromfile(file, import_custom_modules=False)
        assert cfg.default_hooks.checkpoint.save_best == task.main.key
        loss = configured_loss(cfg.to_dict(), task.loss)
        assert len(candidates(method, loss, task.loss, 3)) == (3 if method in KNOBS else 1)


def test_the_lowest_held_out_nll_is_chosen():
    a, b, c = (Setting(name) for name in "abc")
    ece = "calibration/ECE"
    figures = {a: {CRITERION: 0.5, ece: 1.0}, b: {CRITERION: 0.4, ece: 9.0}, c: {CRITERION: 0.4}}
    assert choose(figures) == b, "of equal ones the first"
    assert choose({a: {CRITERION: math.nan}, c: {CRITERION: 2.0}}) == c
    with pytest.raises(ValueError, match="no setting has a finite"):
        choose({a: {CRITERION: math.inf}})


def test_unknown_methods_name_those_there_are():
    task = TASKS["digits-lt"]
    there = check_methods(ROOT, task, None)
    assert there[0] == "ce" and "cals" in there
    assert check_methods(ROOT, task, ["cals", "ce"]) == ["cals", "ce"]
    with pytest.raises(ValueError, match=r"'calls' .* ce, .*cals"):
        check_methods(ROOT, task, ["ce", "calls"])
    with pytest.raises(ValueError, match="twice"):
        check_methods(ROOT, task, ["ce", "ce"])


def test_the_page_tells_what_is_tried():
    page = (ROOT / "docs" / "benchmark.md").read_text("utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE)
    told = {
        method: (argument, tuple(map(float, re.findall(r"[\d.]*\d", values))))
        for methods, argument, values in rows
        for method in re.findall(r"\w+", methods)
    }
    known = {method: (knob.argument, knob.values or knob.factors) for method, knob in KNOBS.items()}
    assert told == known
