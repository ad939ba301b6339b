"""``tools/benchmark.py --config`` on configs that are not ours: mmseg, mmpretrain and text."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.visualization import Visualizer

pytest.importorskip("mmseg", reason="mmseg is not installed: pip install 'cals-mm[onedl]'")
pytest.importorskip("mmpretrain", reason="mmpretrain is not installed")

from cals_mm.benchmark import Processes
from cals_mm.benchmark.plan import task_of, with_columns_of
from cals_mm.benchmark.reporting import read_results
from cals_mm.commands.benchmark import check_names, main
from cals_mm.commands.test import main as evaluate
from cals_mm.commands.train import main as train
from tests.integration.test_hold_out import cityscapes, folders
from tests.tiny_text import tiny_text


def here(self, command, log, lock):
    """Run a command inside this process: each start of Python and the frameworks takes seconds."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = command()
    # Processes share no visualizer, which writes the log.
    for named in (MessageHub, Visualizer, *Visualizer.__subclasses__()):
        named._instance_dict.clear()
    {"train.py": train, "test.py": evaluate}[Path(words[1]).name](words[2:])


def of_framework(make, root: Path, *more: str) -> Path:
    """A config of a framework as it is, but for sizes and numbers of steps."""
    config, small = make(root / "data")
    cfg = Config.fromfile(config)
    options = dict(option.split("=", 1) for option in [*small, *more])
    cfg.merge_from_dict({key: _value(text) for key, text in options.items()})
    cfg.dump(root / "mine.py")
    return root / "mine.py"


def _value(text: str):
    try:
        return eval(text, {})  # numbers, tuples, None
    except NameError:
        return text


def fcn(root: Path) -> Path:
    end = "param_scheduler.0.end=8"
    return of_framework(
        cityscapes, root, "train_cfg.max_iters=8", "default_hooks.checkpoint.interval=4", end
    )


def resnet(root: Path) -> Path:
    return of_framework(folders, root, "train_cfg.max_epochs=2")


def text(root: Path) -> Path:
    cfg = tiny_text(root, "ce/gpcnn_20newsgroups")
    for key in ("work_dir", "method_defaults"):
        cfg.pop(key)
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=1)
    cfg.dump(root / "mine.py")
    return root / "mine.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "key", "more"),
    [
        (fcn, "mIoU", ["aAcc", "mAcc"]),
        (resnet, "accuracy/top1", ["accuracy/top5"]),
        (text, "calibration/accuracy", []),
    ],
)
def test_a_foreign_config(make, key, more, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Processes, "call", here)
    monkeypatch.setattr("cals_mm.benchmark.reporting.resampled.DRAWS", 20)
    config = make(tmp_path)
    words = ["--config", str(config), "--methods", "ce", "cals", "--seeds", "0"]
    words += ["--work-dir", str(tmp_path / "work"), "--store", str(tmp_path / "stored")]
    if make is not text:
        words += ["--data-root", str(tmp_path / "data")]
    main(words)
    results = read_results(tmp_path / "stored" / "mine.json")
    assert [row.method for row in results.rows] == ["ce", "cals"]
    assert results.task.main.key == key
    assert [column.key for column in results.task.more] == more
    for row in results.rows:
        for column in results.columns:
            assert isinstance(row.mean[column.key], float), column.key
        assert row.comparisons["best other"]["scaled/NLL"].low is not None, "resampled"
    assert str(tmp_path) not in (tmp_path / "stored" / "mine.json").read_text()
    assert (tmp_path / "work" / "mine" / "results.html").is_file()

    capsys.readouterr()
    main(words)
    again = capsys.readouterr().out
    assert again.count("trained before") == 2
    assert "tested:" not in again


def config(**changes) -> Config:
    loader = {"dataset": {"type": "A"}}
    parts = {f"{split}_{part}": dict(loader) for split in ("val", "test") for part in PARTS}
    head = {"type": "LinearClsHead", "num_classes": 3, "in_channels": 8}
    return Config({"model": {"type": "ImageClassifier", "head": head}, **parts, **changes})


PARTS = ("dataloader", "evaluator", "cfg")


@pytest.mark.parametrize(
    ("evaluator", "key"),
    [
        ({"type": "Accuracy"}, "accuracy/top1"),
        ([{"type": "Accuracy", "topk": (5, 1)}], "accuracy/top1"),
        ({"type": "Accuracy", "topk": 5}, "calibration/accuracy"),
        ([{"type": "SingleLabelMetric"}, {"type": "Accuracy", "prefix": "mine"}], "mine/top1"),
        ({"type": "Evaluator", "metrics": [{"type": "mmseg.IoUMetric"}]}, "mIoU"),
        ({"type": "IoUMetric", "iou_metrics": ["mDice"]}, "calibration/accuracy"),
    ],
)
def test_the_main_figure_is_that_of_the_evaluator(evaluator, key, tmp_path):
    cfg = config(val_evaluator=evaluator, test_evaluator=evaluator)
    task = task_of(cfg, tmp_path / "mine.py")
    assert (task.name, task.main.key, task.single_labels) == ("mine", key, True)
    held_out = config(test_evaluator=evaluator, val_evaluator={"type": "Other"})
    assert task_of(held_out, tmp_path / "mine.py").main.key == "calibration/accuracy"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_evaluator": {"type": "IoUMetric", "format_only": True}}, "computes no figures"),
        ({"val_evaluator": [{"type": "CalibrationMetric", "prefix": "x"}]}, "leave the prefix"),
        ({"visualizer": {"vis_backends": [{"type": "WandbVisBackend"}]}}, "LocalVisBackend"),
    ],
)
def test_what_could_not_be_read_is_refused_before_training(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        task_of(config(**changes), tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = dict(", "never closed|was never"),
        ("train_cfg = dict(max_epochs=1)", "model"),
    ],
)
def test_a_broken_config_is_one_line(text, message, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        main(["--config", str(tmp_path / "mine.py"), "--work-dir", str(tmp_path / "work")])


def test_a_work_dir_that_no_option_can_name(tmp_path):
    for name, sign in (("a,b", ","), ("my runs", " ")):
        with pytest.raises(ValueError, match=f"has a '{sign}' in it"):
            main(["--task", "digits-lt", "--work-dir", str(tmp_path / name)])


@pytest.mark.parametrize(
    ("name", "message"), [("my config", "has a ' ' in it"), ("camvid", "the folder of the task")]
)
def test_a_config_whose_folder_could_not_be_its_own(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        check_names("work", task_of(config(), tmp_path / f"{name}.py"))


def test_further_columns_are_what_the_evaluators_give(tmp_path):
    figures = {"mIoU": 1.0, "aAcc": 2.0, "loss": 3.0, "speed": 4.0, "names": "x", "time": 1.0}
    figures |= {"calibration/ECE": 1.0, "scaled/ECE": 1.0, "blur:3/aAcc": 1.0, "shift/aAcc": 1.0}
    found = with_columns_of(task_of(config(), tmp_path / "mine.py"), figures)
    assert {column.key: column.better for column in found.more} == {
        "mIoU": "higher",
        "aAcc": "higher",
        "loss": "lower",
        "speed": None,
    }
    assert json.dumps([column.heading for column in found.columns])


def test_what_is_missing_is_named(tmp_path, capsys):
    with pytest.raises(ValueError, match="no test_dataloader: settings and temperature"):
        task_of(config(test_dataloader=None), tmp_path / "mine.py")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        main(["--config", str(tmp_path / "nothing.py")])
    with pytest.raises(SystemExit):
        main(["--config", "a.py", "--task", "demo"])
    assert "not allowed with" in capsys.readouterr().err
