"""A project with scripts that train nothing: they leave what the real ones leave, at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from cals_mm.benchmark import TASKS, Budget, Campaign, Processes

TASK = TASKS["digits-lt"]
METHODS = ["ce", "cals"]

CONFIG = """
default_scope = "mmpretrain"
method_defaults = dict(margin={margin})
model = dict(
    type="ImageClassifier", head=dict(type="LinearClsHead", num_classes=10, in_channels=8)
)
train_dataloader, val_dataloader, test_dataloader = (
    dict(dataset=dict(data_root="data/x", split=split)) for split in ("train", "val", "test")
)
val_evaluator = test_evaluator = [dict(type="Accuracy"), dict(type="CalibrationMetric")]
train_cfg = dict(max_epochs=2, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [dict(type="CosineAnnealingLR")]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(type="CheckpointHook", save_best="accuracy/top1", rule="greater"),
)
randomness = dict(seed=0)
"""

COMMON = """
import argparse, json, sys, zipfile
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("config", type=Path)
parser.add_argument("checkpoint", nargs="?", type=Path)
for flag in ("--cfg-options", "--method-options", "--corrupt"):
    parser.add_argument(flag, nargs="+", default=[])
for flag in ("--method", "--seed", "--work-dir", "--resume"):
    parser.add_argument(flag)
for flag in ("--out", "--predictions", "--image-sums", "--temperature"):
    parser.add_argument(flag)
args = parser.parse_args()
root = Path(__file__).parents[1]
with (root / "calls").open("a") as calls:
    print(Path(__file__).stem, *sys.argv[1:], file=calls)
folder = Path(args.work_dir)
folder.mkdir(parents=True, exist_ok=True)
def figures(split, seed, method, margin):
    nll = json.loads((root / "figures.json").read_text())[split][method][margin]
    keys = ("ECE", "aECE", "cwECE", "gap", "Brier")
    values = {f"calibration/{key}": 10 * nll + seed for key in keys}
    few = {"long_tail/few_accuracy": 50.0, "long_tail/few_ECE": 20.0}
    return {"accuracy/top1": 80.0 + seed, **few, **values, "calibration/NLL": nll}
"""

TRAIN = """
if args.seed == "13":
    print("starting")
    sys.exit("error: unlucky")
margin = dict(option.split("=", 1) for option in args.method_options).get("margin", "default")
# In place of the config that is left for the test.
(folder / args.config.with_suffix(".json").name).write_text(json.dumps([args.method, margin]))
def checkpoint(name):
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("archive/data.pkl", args.seed)
log = folder / "20260101_000000" / "vis_data" / "scalars.json"
log.parent.mkdir(parents=True, exist_ok=True)
records = [{"loss": 1.0, "step": 1}]
for epoch in (1, 2):
    checkpoint(f"epoch_{epoch}.pth")
    # The first epoch has the better accuracy, the second the better NLL.
    record = figures("val", 0, args.method, margin)
    record["accuracy/top1"] -= epoch
    record["calibration/NLL"] -= 0.01 * epoch
    records.append({**record, "step": epoch})
checkpoint("best_accuracy_top1_epoch_1.pth")
log.write_text("\\n".join(map(json.dumps, records)) + "\\n{\\"accuracy/top1\\": 3, \\"st")
"""

TEST = """
kept = root / "calibration.pt"
if kept.exists():
    (folder / "calibration.pt").write_bytes(kept.read_bytes())
seed = int(args.checkpoint.parent.name.removeprefix("seed"))
what = json.loads(args.config.with_suffix(".json").read_text())
found = figures("test", seed, *what)
assert args.temperature == ("2.0" if args.corrupt else "held-out")
found.update({f"scaled/{key[12:]}": value / 2 for key, value in found.items() if "calib" in key})
if args.corrupt:
    found = {
        f"{name}/{key}": value + int(name[-1])
        for name in args.corrupt for key, value in found.items()
    }
Path(args.out).write_text(json.dumps({**found, "scaled/temperature": 2.0}))
"""


def make_project(root: Path) -> Path:
    """The task's config and scripts under ``root``."""
    write_config(root)
    (root / "tools").mkdir()
    (root / "tools" / "train.py").write_text(COMMON + TRAIN)
    (root / "tools" / "test.py").write_text(COMMON + TEST)
    values = {method: {"default": 1.0, "6.0": 1.0, "12.0": 1.0} for method in METHODS}
    set_figures(root, val=values, test=values)
    return root


def write_config(root: Path, change: Callable[[str], str] = str, margin: float = 8.0) -> None:
    """Write the task's config, its text changed."""
    file = root / TASK.config
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(change(CONFIG.format(margin=margin)))


def set_figures(root: Path, **splits: dict[str, dict[str, float]]) -> None:
    """What validation (``val``) and test (``test``) say of each method and margin."""
    (root / "figures.json").write_text(json.dumps(splits))


def calls(root: Path) -> list[str]:
    """The commands that were run, in their order."""
    file = root / "calls"
    return file.read_text().splitlines() if file.exists() else []


def a_campaign(root: Path, **arguments) -> Campaign:
    """A campaign of the project, quiet."""
    budget = Budget(root, root / "out")
    defaults = {"methods": METHODS, "seeds": [0, 1], "processes": Processes(2)}
    return Campaign(budget, TASK, **{**defaults, "say": lambda line: None, **arguments})
