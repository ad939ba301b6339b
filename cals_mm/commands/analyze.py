"""Analyse the calibration of a finished run.

    python tools/analyze.py work_dirs/cals/deeplabv3_demo

Loads the config and the best checkpoint from WORK_DIR, runs the test split once, and writes figures
and a page that shows them (README.md) to WORK_DIR/analysis.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import CheckpointLoader, Runner

from cals_mm import runs
from cals_mm.analysis import find_run, run_split, write_report
from cals_mm.frameworks import ignored_label
from cals_mm.hooks.class_counts_hook import count_training_classes
from cals_mm.hooks.multiplier_history import KEY


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="WORK_DIR", help="folder of a training run")
    parser.add_argument("--config", help="config to use instead of the one in WORK_DIR")
    parser.add_argument("--checkpoint", help="checkpoint to use instead of the best one")
    parser.add_argument("--out", metavar="DIR", help="default: WORK_DIR/analysis")
    parser.add_argument(
        "--maps", type=int, default=4, metavar="N", help="number of images whose maps are drawn"
    )
    parser.add_argument("--data-root", metavar="DIR", help="read the data here")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    return parser.parse_args(argv)


def frequencies(runner: Runner, segmentation: bool) -> Any:
    """Training images of each class of a classifier; None if they cannot be counted."""
    if segmentation:
        return None
    try:
        return count_training_classes(runner)
    except (OSError, ValueError):
        return None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    if args.maps < 0:
        raise ValueError(f"--maps must not be negative, got {args.maps}")
    run = find_run(args.run, args.config, args.checkpoint)
    cfg: Config = runs.load_config(run.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    runs.check_test_split(cfg)
    runs.check_checkpoint(run.checkpoint)
    out = args.out or str(Path(args.run) / "analysis")
    runs.check_writable(out, "--out")
    runs.check_data(cfg, ("test_dataloader",))
    cfg.log_level = "WARNING"
    print(f"config {run.config}\ncheckpoint {run.checkpoint}", flush=True)
    with tempfile.TemporaryDirectory() as folder, runs.data_explained(cfg, ("test_dataloader",)):
        cfg.work_dir = folder
        runner = runs.trained_runner(cfg, run.checkpoint)
        split = run_split(runner, args.maps)
        frequency = frequencies(runner, split.boundary is not None)
    checkpoint = CheckpointLoader.load_checkpoint(run.last or run.checkpoint, map_location="cpu")
    meta = runner.test_dataloader.dataset.metainfo
    with runs.written_by("--out"):
        page = write_report(
            out,
            split,
            title=f"{Path(run.config).stem}, {Path(run.checkpoint).name}",
            names=meta.get("classes"),
            palette=meta.get("palette"),
            frequency=frequency,
            history=checkpoint.get(KEY),
            ignore_index=ignored_label(runner.model),
        )
    print(f"analysis written to {page}", flush=True)
