"""Cross entropy against CALS in minutes, with nothing but this repository.

    python tools/demo.py                          # make demo
    python tools/demo.py --task classification    # make demo-classification
    python tools/demo.py --task text              # make demo-text

Segmentation: makes synthetic street scenes in the Cityscapes layout and trains a small DeepLabV3
on them twice. Classification: trains a small ResNet twice on scikit-learn's digits with a long
tail. Text: trains a small network over words twice on docstrings of Python's standard library, by
subject. Each run's checkpoint is chosen on held-out data and tested on data that neither run has
seen; the table is printed and the pictures drawn. Stopped runs go on where they were; finished
ones are only tested again.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if importlib.util.find_spec("cals_mm") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from cals_mm import runs
from cals_mm.datasets.street_scenes import make_demo_set
from cals_mm.functional import CALIBRATION_VALUES, CalibrationStatistics
from cals_mm.visualization import compare_reliability, save_image

ROOT = Path(__file__).resolve().parents[1]
METHODS = {"CE": "ce", "CALS": "cals"}
# Keys of the metrics and their headings.
CALIBRATION = {
    f"calibration/{value.name}": value.heading
    for value in CALIBRATION_VALUES.values()
    if value.compared
}


@dataclass(frozen=True)
class Task:
    """What differs between the demos.

    Attributes:
        config: Name of the config of each method.
        out: Folder of the results.
        best: Metric that chooses the checkpoint.
        columns: Metrics of the table and their headings.
        test_split: What is tested on.
    """

    config: str
    out: str
    best: str
    columns: dict[str, str]
    test_split: str


TASKS = {
    "segmentation": Task(
        "deeplabv3_demo",
        "work_dirs/demo",
        "mIoU",
        {"mIoU": "mIoU %", **CALIBRATION},
        "cities that neither run has seen",
    ),
    "classification": Task(
        "resnet_digits-lt",
        "work_dirs/demo-classification",
        "accuracy/top1",
        {
            "accuracy/top1": "accuracy %",
            "long_tail/few_accuracy": "few-shot accuracy %",
            "long_tail/few_ECE": "few-shot ECE %",
            **CALIBRATION,
        },
        "60 scans of each digit that neither run has seen",
    ),
    "text": Task(
        "meanmlp_stdlib-docs",
        "work_dirs/demo-text",
        "calibration/accuracy",
        {"calibration/accuracy": "accuracy %", **CALIBRATION},
        "docstrings that neither run has seen",
    ),
}


class ProgressBar(Hook):
    """Iterations of the whole training with the remaining time."""

    priority = "VERY_LOW"

    def __init__(self, title: str, task: Task) -> None:
        self.title = title
        self.best = task.best
        self.heading = task.columns[task.best].removesuffix(" %")

    def before_train(self, runner: Runner) -> None:
        """Show the bar, from where a resumed run stands."""
        self.bar = tqdm(
            total=runner.max_iters, initial=runner.iter, desc=self.title, unit="it", mininterval=1
        )

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None):
        """Advance by one iteration."""
        self.bar.update()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Show what the held-out data say."""
        if metrics and hasattr(self, "bar"):
            self.bar.set_postfix_str(
                f"held-out {self.heading} {metrics[self.best]:.1f} "
                f"ECE {metrics['calibration/ECE']:.1f} %"
            )

    def after_train(self, runner: Runner) -> None:
        """Leave the finished bar."""
        self.bar.close()


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=TASKS, default="segmentation", help="which demo")
    parser.add_argument(
        "--data-root", default="data/demo", metavar="DIR", help="street scenes (segmentation)"
    )
    parser.add_argument(
        "--work-dir", metavar="DIR", help="results (default: work_dirs/demo[-TASK])"
    )
    parser.add_argument("--epochs", type=int, help="shorter or longer than the config's training")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and augmentation")
    return parser.parse_args(argv)


def load(method: str, args: argparse.Namespace) -> Config:
    """Config of one method, quiet on the terminal; its log file keeps the warnings."""
    task = TASKS[args.task]
    cfg = runs.load_config(str(ROOT / f"configs/{method}/{task.config}.py"), None)
    if args.task == "segmentation":
        runs.set_data_root(cfg, args.data_root)
    cfg.randomness = {"seed": args.seed}
    cfg.log_level = "WARNING"
    if args.epochs:
        cfg.train_cfg.max_epochs = args.epochs
        for scheduler in cfg.get("param_scheduler", [])[:1]:
            if "end" in scheduler:
                scheduler.end = args.epochs
    name_run(cfg, Path(args.work_dir or task.out) / f"{method}_seed{args.seed}")
    return cfg


def name_run(cfg: Config, folder: Path) -> None:
    """Give a run a folder and names of its own: runs of one process share what has one name."""
    cfg.work_dir = str(folder)
    cfg.experiment_name = "_".join(folder.parts[-2:])
    cfg.visualizer.name = cfg.experiment_name


def train(title: str, cfg: Config, task: Task) -> None:
    """Train, or go on with a stopped run."""
    newest = runs.find_last_checkpoint(cfg.work_dir)
    if newest:
        cfg.resume, cfg.load_from = True, newest
    runner = runs.build_runner(cfg)
    runner.register_hook(ProgressBar(f"train {title:4}", task))
    runner.train()


def test(cfg: Config, task: Task) -> tuple[dict, CalibrationStatistics]:
    """Metrics and bin statistics of the checkpoint that was best on the held-out data."""
    (best,) = Path(cfg.work_dir).glob(f"best_{task.best.replace('/', '_')}_*.pth")
    cfg.load_from, cfg.resume = str(best), False
    name_run(cfg, Path(cfg.work_dir) / "test")
    runner = runs.build_runner(cfg)
    metrics = runner.test()
    (metric,) = (m for m in runner.test_evaluator.metrics if hasattr(m, "statistics"))
    return metrics, metric.statistics


def table(results: dict[str, dict], columns: dict[str, str]) -> str:
    """The figures as Markdown."""
    lines = ["| | " + " | ".join(columns.values()) + " |", "| --- " * (len(columns) + 1) + "|"]
    for title, metrics in results.items():
        cells = (
            f"{metrics[key]:.4g}" if "%" not in head else f"{metrics[key]:.2f}"
            for key, head in columns.items()
        )
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    task = TASKS[args.task]
    began = time.monotonic()
    if args.task == "segmentation":
        make_demo_set(args.data_root)
    results, statistics = {}, {}
    for title, method in METHODS.items():
        train(title, load(method, args), task)
        results[title], statistics[title] = test(load(method, args), task)
    text = table(results, task.columns)
    out = Path(args.work_dir or task.out)
    picture = out / "reliability.png"
    save_image(compare_reliability(statistics), picture)
    (out / "results.md").write_text(text + "\n")
    print(f"\nTest split ({task.test_split}), {time.monotonic() - began:.0f} s:\n")
    print(text)
    print(f"\nPicture: {picture}; curves and logs: {out}")


if __name__ == "__main__":
    runs.run(main)
