"""The wheel, built of a source distribution and installed away from the checkout.

The environment is new, but sees the packages of this one through a path file: a full installation
takes minutes, and its dependencies are not what is tested.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from mmengine.config import Config

from cals_mm.datasets.street_scenes.scene import PERIOD

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("cals_mm", "configs", "csrc", "tools", "setup.py", "pyproject.toml", "MANIFEST.in")
SOURCES += (
    "README.md",
    "LICENSE",
    "constraints.txt",
    "constraints-openmmlab.txt",
    "constraints-core.txt",
)

pytestmark = pytest.mark.slow


def build(what: str, source: Path, out: Path) -> Path:
    """Build a distribution with the setuptools of this environment."""
    code = f"from setuptools import build_meta; print(build_meta.build_{what}({str(out)!r}))"
    environment = {**os.environ, "CFLAGS": "-O0"}  # the kernels are tested elsewhere
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return out / run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    left_out = shutil.ignore_patterns("__pycache__", "_native.*")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=left_out)
        else:
            shutil.copy(ROOT / name, source)
    with tarfile.open(build("sdist", source, folder)) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", unpacked, folder)


@pytest.fixture(scope="module")
def cals(wheel: Path, tmp_path_factory):
    """The command ``cals`` of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    own = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    # Nor may pip find the project by the path of the tests, and have nothing to do.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["OMP_NUM_THREADS"] = "1"
    command = [*install, "--no-index", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, env=environment, cwd=folder)
    # Path files in a folder that is added like this are not read, so an editable installation of
    # the project stays out.
    (own / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def call(*arguments: str, cwd: Path) -> str:
        run = subprocess.run(
            [str(folder / "bin" / "cals"), *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    call.packages = own
    return call


def names(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*.*") if "__pycache__" not in str(f)}


def test_the_wheel_carries_configs_and_tools(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    prefix = "cals_mm/.mim/"
    carried = {name.removeprefix(prefix) for name in modes if name.startswith(prefix)}
    expected = {f"{part}/{name}" for part in ("configs", "tools") for name in names(ROOT / part)}
    assert carried == expected | {"model-index.yml"}
    assert modes[f"{prefix}tools/dist_train.sh"] & 0o111, "the launchers can be executed"


def test_it_is_the_installed_package_that_runs(cals, tmp_path: Path) -> None:
    facts = dict(line.split("  ", 1) for line in cals("env", cwd=tmp_path).splitlines())
    assert facts["configs and tools"].strip() == str(cals.packages / "cals_mm" / ".mim")


def test_one_step_of_the_demo(cals, tmp_path: Path) -> None:
    before = names(cals.packages)
    small = dict(height=32, num_train=PERIOD, num_held_out=PERIOD, num_test=PERIOD)
    options = [f"train_dataloader.batch_size={PERIOD}", "train_cfg.max_epochs=1"]
    for split in ("train", "val", "test"):
        options += [f"{split}_dataloader.dataset.demo.{k}={v}" for k, v in small.items()]
    config = "cals_mm::cals/deeplabv3_demo.py"
    screen = cals("train", config, "--cfg-options", *options, cwd=tmp_path)
    run = tmp_path / "work_dirs" / "cals" / "deeplabv3_demo"
    assert (run / "epoch_1.pth").is_file()
    assert (tmp_path / "data" / "demo").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"data", "work_dirs"}
    assert "Epoch(train) [1][1/1]" in " ".join(screen.split())
    assert f"next: cals analyze {run.relative_to(tmp_path)}" in screen
    chatter = r"Warning|deprecated|OneDL|System environment|Config:|Hooks will be|safely load"
    assert not re.search(chatter, screen), "what others say is in the log file only"
    (log,) = run.glob("*/*.log")
    assert {"System environment:", "Config:\n", "Hooks will be"} <= set(
        re.findall(r"System environment:|Config:\n|Hooks will be", log.read_text("utf-8"))
    )
    assert names(cals.packages) == before, "nothing is written where the package is installed"
    dumped = Config.fromfile(run / "deeplabv3_demo.py", import_custom_modules=False)
    assert "_scope_" not in dumped.pretty_text


def test_a_config_of_ones_own_over_a_packaged_one(cals, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("_base_ = 'cals_mm::cals/resnet_digits-lt.py'\n")
    cals("train", "mine.py", "--dump", "whole.py", cwd=tmp_path)
    whole = Config.fromfile(tmp_path / "whole.py", import_custom_modules=False)
    assert whole.model.head.loss.type == "CALSLoss" and "_scope_" not in whole.pretty_text
    cals("train", "configs/ce/resnet_digits-lt.py", "--dump", "plain.py", cwd=tmp_path)
