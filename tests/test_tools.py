"""The scripts under `tools/`: arguments, errors, data folders, and small real runs."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from cals_mm import runs
from cals_mm.commands.train import main as train
from cals_mm.runs.errors import one_line

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tools"

# A classifier of mmpretrain on a folder of images: all that the scripts do, in a second a run.
CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=3, mean=[127.0] * 3, std=[64.0] * 3),
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4,
                  norm_cfg=dict(type='SyncBN')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=32))
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
def loader(split):
    return dict(
        batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='CustomDataset', data_root='data/none', data_prefix=split,
                     pipeline=pipeline))
train_dataloader = loader('train')
val_dataloader = loader('val')
test_dataloader = loader('test')
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1, ))
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
del loader
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Random images, three classes, three splits, as folders."""
    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 3), ("test", 3)):
        for name in ("a", "b", "c"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("config") / "tiny.py"
    file.write_text(CONFIG)
    return file


@pytest.fixture(scope="module")
def trained(config, images, tmp_path_factory) -> Path:
    """Work dir of one run with --cals."""
    work_dir = tmp_path_factory.mktemp("trained")
    process = call(
        "train.py",
        config,
        "--data-root",
        images,
        "--work-dir",
        work_dir,
        "--cals",
    )
    assert process.returncode == 0, process.stderr
    assert "+" in process.stdout
    assert "type='CALSLoss'" in process.stdout
    assert "margin='auto'" in process.stdout
    return work_dir


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHON": sys.executable,
    }


def call(script: str, *args, cwd: Path | str = "/") -> subprocess.CompletedProcess:
    """Run a script as a user does, from another folder than the repository's."""
    start = [] if script.endswith(".sh") else [sys.executable]
    command = [*start, str(TOOLS / script), *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd=cwd, timeout=300
    )


def last_line(process: subprocess.CompletedProcess) -> str:
    assert process.returncode == 2, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process.stderr.strip().splitlines()[-1]


@pytest.fixture
def error(monkeypatch, capfd):
    """Run a script inside this process, for speed; return the one line that it ends in."""

    def run(script: str, *args) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(TOOLS / script), run_name="__main__")
        assert caught.value.code == 2
        lines = capfd.readouterr().err.strip().splitlines()
        assert len([line for line in lines if line.startswith("error:")]) == 1, lines
        return lines[-1]

    return run


# --- errors ---------------------------------------------------------------------------------


def test_missing_config_as_a_user_sees_it():
    line = last_line(call("train.py", "configs/nothing.py"))
    assert line.startswith("error: config file 'configs/nothing.py' does not exist")


def test_debug_variable_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("CALS_MM_DEBUG", "1")
    process = call("train.py", "configs/nothing.py")
    assert process.returncode == 2
    assert "Traceback" in process.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = dict(", r"cannot be read \(line 1\): SyntaxError"),
        ("x = 1 / 0", "ZeroDivisionError"),
        ("_base_ = 'nowhere.py'", "nowhere.py"),
        ("x = 1", "has no model"),
    ],
)
def test_unreadable_configs(error, tmp_path, text, message):
    file = tmp_path / "config.py"
    file.write_text(text)
    assert re.search(message, error("train.py", file))


def test_config_that_is_no_config(error, tmp_path):
    assert "is a folder" in error("train.py", tmp_path)
    file = tmp_path / "weights.pth"
    file.write_text("x")
    assert "must end in one of .py" in error("train.py", file)


@pytest.mark.parametrize("margin", ["0", "-1", "nan"])
def test_margin(error, config, margin):
    assert "margin must be a positive number" in error(
        "train.py", config, "--cals", "--cals-margin", margin
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--cals-margin", "3"), "need --cals"),
        (("--cals-allow-test-data",), "need --cals"),
        (("--margin", "3"), "need --method"),
        (("--method-options", "weight=3"), "needs --method"),
        (("--method", "mbls", "--cals"), "--cals is --method cals, and --method is mbls"),
        (("--method", "mls"), "invalid choice: 'mls'"),
    ],
)
def test_options_of_a_method_need_it(capsys, config, option, message):
    with pytest.raises(SystemExit) as caught:
        train([str(config), *option])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_config_with_a_method_is_dumped_and_not_trained(config, tmp_path, capsys):
    file = tmp_path / "mine.py"
    arguments = [str(config), "--method", "mbls", "--margin", "6", "--seed", "3"]
    arguments += ["--method-options", "weight=0.2", "--dump", str(file)]
    train(arguments)
    printed = capsys.readouterr().out
    assert "+" in printed and "type='MbLSLoss'" in printed and str(file) in printed
    dumped = Config.fromfile(file)
    assert dumped.model.head.loss == {"type": "MbLSLoss", "margin": 6.0, "weight": 0.2}
    assert dumped.randomness.seed == 3
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(ValueError, match="exists and is not overwritten"):
        train(arguments)


def test_options_within_options(config, tmp_path):
    inner = "rule.type=heuristic"
    options = [
        "--method",
        "cals",
        "--margin",
        "3",
        "--method-options",
        inner,
        "penalty_weight=2",
        "--allow-test-data",
    ]
    train([str(config), *options, "--dump", str(tmp_path / "mine.py")])
    dumped = Config.fromfile(tmp_path / "mine.py")
    assert dumped.model.head.loss.rule == {"type": "heuristic"}
    assert dumped.model.head.loss.penalty_weight == 2
    assert dumped.custom_hooks[0].allow_test_data


def test_runs_of_a_method_have_a_folder_of_their_own(config):
    cfg = Config.fromfile(config)
    assert runs.default_work_dir(cfg, "configs/ce/x.py") == "work_dirs/ce/x"
    assert runs.default_work_dir(cfg, "configs/ce/x.py", "mbls") == "work_dirs/mbls/x"


def test_unwritable_work_dir(error, config, tmp_path):
    # A folder below a file cannot be made, by root neither.
    (tmp_path / "file").write_text("x")
    line = error("train.py", config, "--work-dir", tmp_path / "file" / "run")
    assert "cannot write to" in line
    assert "--work-dir" in line
    assert "cannot write to" in error("train.py", config, "--work-dir", tmp_path / "file")


def test_a_fresh_run_does_not_overwrite(error, config, tmp_path):
    (tmp_path / "epoch_3.pth").write_text("precious")
    line = error("train.py", config, "--work-dir", tmp_path)
    assert "epoch_3.pth" in line
    assert "--resume" in line
    assert "--work-dir" in line
    line = error("train.py", config, "--work-dir", tmp_path, "--resume")
    assert "--resume CHECKPOINT" in line
    assert (tmp_path / "epoch_3.pth").read_text() == "precious"


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    file = tmp_path / "whole.pth"
    torch.save({"state_dict": {"weight": torch.zeros(1000)}}, file)
    return file


def test_checkpoints_that_cannot_be_read(error, config, checkpoint, tmp_path):
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(checkpoint.read_bytes()[:-500])
    garbage = tmp_path / "garbage.pth"
    garbage.write_bytes(b"\x00garbage" * 100)
    empty = tmp_path / "empty.pth"
    empty.touch()
    for file in (truncated, garbage, empty):
        for args in (("test.py", config, file), ("train.py", config, "--resume", file)):
            work_dir = ("--work-dir", tmp_path / "run")
            line = error(*args, *work_dir)
            assert str(file) in line
            assert "truncated or no checkpoint" in line
    assert "does not exist" in error("test.py", config, tmp_path / "no.pth")
    assert "is a folder" in error("test.py", config, tmp_path)


def test_whole_checkpoints_pass(checkpoint, tmp_path):
    runs.check_checkpoint(str(checkpoint))
    old_format = tmp_path / "old.pth"
    torch.save({"a": torch.zeros(2)}, old_format, _use_new_zipfile_serialization=False)
    runs.check_checkpoint(str(old_format))
    runs.check_checkpoint("https://example.org/weights.pth")


def test_missing_data_says_what_is_expected(config, tmp_path):
    line = last_line(call("train.py", config, "--work-dir", tmp_path))
    assert "train_dataloader finds no 'data/none'" in line
    assert "data/none/train" in line
    assert "--data-root" in line
    assert "make demo" in line


def test_data_root_that_is_no_folder(error, config):
    assert "--data-root '/nowhere' is not a folder" in error(
        "train.py", config, "--data-root", "/nowhere"
    )


def test_validation_on_the_test_set_is_refused(config, images, tmp_path):
    by_hand = tmp_path / "by_hand.py"
    by_hand.write_text(
        f"""_base_ = {str(config)!r}
custom_imports = dict(imports=["cals_mm"])
loss = dict(type="CALSLoss", num_classes=3)
model = dict(head=dict(loss=loss))
custom_hooks = [dict(type="CALSMultiplierHook")]
"""
    )
    process = call(
        "train.py",
        by_hand,
        *("--data-root", images, "--work-dir", tmp_path / "run", "--cfg-options"),
        "test_dataloader.dataset.data_prefix=val",
    )
    line = last_line(process)
    assert "validation files are test files too" in line
    assert "--hold-out 0.1" in line and "--allow-test-data" in line


def test_names_that_the_registry_does_not_know(config, images, tmp_path):
    options = ("--data-root", images, "--cfg-options", "model.backbone.type=NoSuchNet")
    line = last_line(call("train.py", config, "--work-dir", tmp_path, *options))
    assert "NoSuchNet" in line


def test_a_config_without_test_split(error, config, checkpoint):
    options = ("--cfg-options", "test_dataloader=None", "test_evaluator=None", "test_cfg=None")
    assert "no test_dataloader" in error("test.py", config, checkpoint, *options)


def test_out_must_be_a_writable_file(error, config, checkpoint, tmp_path):
    assert "is a folder" in error("test.py", config, checkpoint, "--out", tmp_path)
    below = checkpoint / "metrics.json"
    line = error("test.py", config, checkpoint, "--out", below)
    assert "cannot write to" in line and "--out" in line and "--work-dir" not in line


def test_launcher_without_its_variables(error, config, images, tmp_path, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("with a GPU the process group is MMEngine's business")
    for variable in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.delenv(variable, raising=False)
    args = ("--work-dir", tmp_path, "--data-root", images, "--launcher", "pytorch")
    assert "environment variable RANK" in error("train.py", config, *args)


@pytest.mark.parametrize(
    "script", ["dist_train.sh", "dist_test.sh", "slurm_train.sh", "slurm_test.sh"]
)
def test_launch_scripts_say_how_they_are_used(script):
    process = call(script, "one")
    assert process.returncode == 2
    assert process.stderr.startswith("usage: ")


def test_one_line():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(KeyError("x is not in the registry")) == "x is not in the registry"
    assert "'margin' is missing" in one_line(KeyError("margin"))
    worker = (
        "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback ...\nValueError: bad"
    )
    assert one_line(ValueError(worker)) == "ValueError: bad"
    assert one_line(ValueError()) == "ValueError"


# --- data folders ---------------------------------------------------------------------------


def nested_config(*roots: str) -> Config:
    first, second = roots[0], roots[-1]
    leaf = {"type": "A", "data_root": first, "data_prefix": {"img": "img"}, "ann_file": "x/y.txt"}
    other = {**leaf, "data_root": second}
    repeat = {
        "type": "RepeatDataset",
        "dataset": {"type": "ConcatDataset", "datasets": [leaf, other]},
    }
    return Config(
        {
            "data_root": first,
            "train_dataloader": {"dataset": repeat},
            "val_dataloader": {"dataset": leaf},
            "test_dataloader": [{"dataset": leaf}, {"dataset": other}],
        }
    )


def roots_of(cfg: Config) -> list[str]:
    return re.findall(r"data_root='([^']*)'", cfg.pretty_text)


def test_data_root_reaches_every_data_set(tmp_path):
    cfg = nested_config("data/cityscapes/", "data/cityscapes")
    runs.set_data_root(cfg, str(tmp_path))
    leaf = cfg.train_dataloader.dataset.dataset.datasets[1]
    assert leaf.data_root == str(tmp_path)
    assert leaf.ann_file == "x/y.txt"
    assert leaf.data_prefix.img == "img"
    for loader in (cfg.val_dataloader, *cfg.test_dataloader):
        assert loader.dataset.data_root == str(tmp_path)
    assert cfg.data_root == str(tmp_path)


def test_of_several_data_roots_the_shared_part_is_replaced(tmp_path):
    cfg = nested_config("data/vaihingen", "data/potsdam/rgb")
    runs.set_data_root(cfg, str(tmp_path))
    first, second = cfg.train_dataloader.dataset.dataset.datasets
    assert first.data_root == str(tmp_path / "vaihingen")
    assert second.data_root == str(tmp_path / "potsdam" / "rgb")


def test_data_roots_without_a_shared_part(tmp_path):
    with pytest.raises(ValueError, match="share no folder"):
        runs.set_data_root(nested_config("a", "b"), str(tmp_path))
    with pytest.raises(ValueError, match="no data set with a data_root"):
        runs.set_data_root(Config({"train_dataloader": {"dataset": {"type": "A"}}}), str(tmp_path))


# --- small helpers --------------------------------------------------------------------------


def test_last_checkpoint_survives_a_moved_folder(tmp_path):
    assert runs.find_last_checkpoint(str(tmp_path)) is None
    (tmp_path / "last_checkpoint").write_text("work_dirs/elsewhere/epoch_2.pth")
    with pytest.raises(FileNotFoundError, match=r"epoch_2\.pth"):
        runs.find_last_checkpoint(str(tmp_path))
    (tmp_path / "epoch_2.pth").touch()
    assert runs.find_last_checkpoint(str(tmp_path)) == str(tmp_path / "epoch_2.pth")


def test_the_newest_checkpoint_is_found_beside_an_empty_note(tmp_path):
    """A process killed at once may leave the note open and empty."""
    (tmp_path / "last_checkpoint").touch()
    with pytest.raises(FileNotFoundError, match="name a checkpoint by --resume"):
        runs.find_last_checkpoint(str(tmp_path))
    for name in ("iter_900.pth", "iter_1000.pth", "best_mIoU_iter_2000.pth", "iter_3000.pth.part"):
        (tmp_path / name).touch()
    assert runs.find_last_checkpoint(str(tmp_path)) == str(tmp_path / "iter_1000.pth")


def test_amp_refuses_other_wrappers():
    with pytest.raises(ValueError, match="ApexOptimWrapper"):
        runs.use_mixed_precision(Config({"optim_wrapper": {"type": "ApexOptimWrapper"}}))
    with pytest.raises(ValueError, match="optim_wrapper"):
        runs.use_mixed_precision(Config({"model": {}}))


# --- real runs ------------------------------------------------------------------------------


def test_a_finished_run_is_not_overwritten_but_resumed(trained, config, images):
    args = (config, "--data-root", images, "--work-dir", trained, "--cals")
    assert "holds checkpoints of another run" in last_line(call("train.py", *args))
    process = call("train.py", *args, "--resume", "--cfg-options", "train_cfg.max_epochs=3")
    assert process.returncode == 0, process.stderr
    assert (trained / "epoch_3.pth").is_file()
    assert "resumed epoch: 2" in process.stdout


def test_a_cals_checkpoint_is_tested_with_the_config_it_grew_from(
    trained, config, images, tmp_path
):
    out = tmp_path / "metrics.json"
    process = call(
        "test.py",
        *(config, trained / "epoch_2.pth", "--data-root", images),
        *("--work-dir", tmp_path / "run", "--out", out),
    )
    assert process.returncode == 0, process.stderr
    assert "multipliers" in process.stdout + process.stderr  # named as unexpected
    assert 0 <= json.loads(out.read_text())["accuracy/top1"] <= 100


def test_the_dumped_config_of_a_cals_run_tests_its_calibration(trained, tmp_path):
    out = tmp_path / "metrics.json"
    dumped = trained / "tiny.py"
    process = call(
        "test.py", dumped, trained / "epoch_1.pth", "--out", out, "--work-dir", tmp_path / "run"
    )
    assert process.returncode == 0, process.stderr
    assert any(key.startswith("calibration/") for key in json.loads(out.read_text()))


def test_mixed_precision_and_seed(config, images, tmp_path):
    process = call(
        "train.py",
        *(config, "--data-root", images, "--work-dir", tmp_path, "--amp", "--seed", 3, "--cals"),
        *("--cfg-options", "train_cfg.max_epochs=1"),
    )
    assert process.returncode == 0, process.stderr
    dumped = Config.fromfile(tmp_path / "tiny.py")
    assert dumped.randomness.seed == 3
    assert dumped.optim_wrapper.type.endswith("AmpOptimWrapper")


@pytest.mark.slow
def test_two_processes_train_and_test(config, images, tmp_path, monkeypatch):
    monkeypatch.setenv("PORT", str(29500 + os.getpid() % 1000))
    common = ("--data-root", images, "--work-dir", tmp_path / "run")
    process = call("dist_train.sh", config, 2, *common, "--cals")
    assert process.returncode == 0, process.stderr
    out = tmp_path / "metrics.json"
    process = call(
        "dist_test.sh", config, tmp_path / "run" / "epoch_2.pth", 2, *common, "--out", out
    )
    assert process.returncode == 0, process.stderr
    assert "accuracy/top1" in json.loads(out.read_text())


@pytest.mark.slow
def test_of_two_processes_only_one_complains(tmp_path, monkeypatch):
    monkeypatch.setenv("PORT", str(29500 + os.getpid() % 1000))
    process = call("dist_train.sh", tmp_path / "no.py", 2)
    assert process.returncode != 0
    assert process.stderr.count("error: config file") == 1
