"""Calibrate a trained model, or bound its errors, and save it as an ordinary checkpoint.

    python tools/calibrate.py configs/ce/deeplabv3_camvid.py CHECKPOINT.pth --method temperature
    python tools/calibrate.py configs/ce/resnet_digits-lt.py CHECKPOINT.pth --coverage 0.9
    python tools/calibrate.py configs/ce/deeplabv3_camvid.py CHECKPOINT.pth --risk 0.05

--method fits a scaling of the logits on the validation split, folds it into the model's last layer,
and checks on a batch that the folded model computes the scaled logits. For tasks with one label per
sample, --coverage fits sets of classes that contain the true class with this probability. For label
maps, --risk fits a confidence threshold that bounds the error of the pixels above it. The new
checkpoint contains the fitted values and replaces the old one, with the same config and in any
program. The effect on the test split is printed.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner

from cals_mm import files, runs
from cals_mm.frameworks import ignored_label
from cals_mm.posthoc.checkpoint import (
    KEY,
    default_name,
    folded_checkpoint,
    noted_checkpoint,
    save_new,
)
from cals_mm.posthoc.conformal import PredictionSets, RiskThreshold

from .calibrate_words import conformal_summary, scaling_summary, table


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    runs.add_common_arguments(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the trained model")
    parser.add_argument(
        "--method",
        choices=["none", "temperature", "class", "vector"],
        help="one temperature (predictions stay), one per class, or a weight and a bias per class; "
        "default: temperature, but none with --coverage or --risk. With both, one half of the "
        "validation split fits the scaling and the other half the rest",
    )
    parser.add_argument(
        "--l2", type=float, default=1e-3, help="how much classes share, for class and vector"
    )
    parser.add_argument(
        "--pixels", type=int, default=2000, metavar="N", help="pixels drawn from each image"
    )
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument(
        "--coverage", type=float, metavar="C", help="fit prediction sets, for instance 0.9"
    )
    bound.add_argument(
        "--risk", type=float, metavar="R", help="fit a confidence threshold, for instance 0.01"
    )
    parser.add_argument(
        "--score", choices=["lac", "aps", "raps"], default="lac", help="score of the sets"
    )
    parser.add_argument(
        "--per-class", action="store_true", help="hold the coverage in every class of its own"
    )
    parser.add_argument(
        "--out", metavar="NEW.pth", help="default: beside CHECKPOINT, the method before its name"
    )
    parser.add_argument("--json", metavar="FILE.json", help="write fitted numbers and figures here")
    parser.add_argument("--no-test", action="store_true", help="do not run the test split")
    parser.add_argument(
        "--again", action="store_true", help="calibrate a checkpoint that is calibrated already"
    )
    parser.add_argument(
        "--allow-test-data",
        action="store_true",
        help="accept validation files that are test files too; the figures are optimistic then",
    )
    args = parser.parse_args(argv)
    bounded = args.coverage is not None or args.risk is not None
    if args.method is None:
        args.method = "none" if bounded else "temperature"
    if args.method == "none" and not bounded:
        parser.error("--method none needs --coverage or --risk, or there is nothing to do")
    if args.coverage is None and (args.per_class or args.score != "lac"):
        parser.error("--score and --per-class need --coverage")
    return args


def check(args: argparse.Namespace, cfg: Config, out: str) -> None:
    """Check everything that can be checked before the network runs."""
    if args.launcher != "none":
        raise ValueError("calibration runs in one process; leave --launcher out")
    for name in ("coverage", "risk"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1:
            raise ValueError(f"--{name} must be between 0 and 1, got {value}")
    runs.check_checkpoint(args.checkpoint)
    for name, path in (("--out", out), ("--json", args.json)):
        if path and Path(path).exists():
            raise ValueError(f"{name} {path!r} exists and is not overwritten; name another file")
        if path:
            runs.check_writable(str(Path(path).absolute().parent), name)
    if not args.no_test:
        runs.check_test_split(cfg)


def read_checkpoint(args: argparse.Namespace) -> dict[str, Any]:
    """Read the checkpoint to calibrate; reject one that is calibrated already."""
    checkpoint: dict[str, Any] = CheckpointLoader.load_checkpoint(
        args.checkpoint, map_location="cpu"
    )
    if KEY in checkpoint.get("meta", {}) and not args.again:
        raise ValueError(
            f"checkpoint {args.checkpoint!r} is calibrated already, by method "
            f"{checkpoint['meta'][KEY]['method']!r}; use the one it was made from, or calibrate it "
            "once more by --again"
        )
    return checkpoint


def held_out(cfg: Config, args: argparse.Namespace) -> Runner:
    """Build the runner; reject a validation split that shares files with the test split."""
    runner = runs.held_out_runner(copy.deepcopy(cfg), args.checkpoint)
    if not args.allow_test_data:
        runs.refuse_test_files(runner, ", or accept it by --allow-test-data")
    label_maps = runs.batch_predictions(runner.model, next(iter(runner.val_dataloader)))[0][1].ndim
    if label_maps and args.coverage is not None:
        raise ValueError("--coverage is for one label a sample; for label maps give --risk")
    if not label_maps and args.risk is not None:
        raise ValueError("--risk is for label maps; for one label a sample give --coverage")
    return runner


def fit_bound(
    runner: Runner, args: argparse.Namespace, part: set[int] | None
) -> PredictionSets | RiskThreshold | None:
    """Fit the prediction sets or the threshold, if requested."""
    if args.coverage is not None:
        return runs.fit_sets(runner, args.coverage, args.score, args.per_class, part)
    return None if args.risk is None else runs.fit_threshold(runner, args.risk, part)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    scaled = args.method != "none"
    out = args.out or default_name(args.checkpoint, args.method if scaled else "conformal")
    check(args, cfg, out)
    checkpoint = read_checkpoint(args)
    work_dir = args.work_dir or str(Path(runs.default_work_dir(cfg, args.config)) / "calibrate")
    runs.prepare_work_dir(cfg, args.config, work_dir)
    runs.check_data(cfg, ("val_dataloader", *([] if args.no_test else ["test_dataloader"])))
    cfg.log_level = "WARNING"
    notes: dict[str, Any] = {"method": args.method}
    with runs.data_explained(cfg, ("val_dataloader",)):
        runner = held_out(cfg, args)
        bounded = args.coverage is not None or args.risk is not None
        halves = runs.held_out_halves(runner) if scaled and bounded else (None, None)
        if scaled:
            scaling = runs.scale_model_(runner, args.method, args.l2, args.pixels, halves[0])
            notes = scaling.notes
        bound = fit_bound(runner, args, halves[1])
    notes["source"] = Path(args.checkpoint).name
    if bound is not None:
        notes["conformal"] = bound.to_dict()
    if scaled:
        new = folded_checkpoint(checkpoint, scaling.layer, scaling.scaler, notes)
    else:
        new = noted_checkpoint(checkpoint, notes)
    with runs.written_by("--out"):
        save_new(new, out)
    ignored = ignored_label(runner.model)
    if scaled:
        print(scaling_summary(notes, "samples" if ignored == -100 else "pixels"))
    if bound is not None:
        print(conformal_summary(bound))
    print(f"calibrated checkpoint: {out}", flush=True)
    report: dict[str, Any] = {"scaling": notes, "checkpoint": out}
    if not args.no_test:
        with runs.data_explained(cfg, ("test_dataloader",)):
            report.update(test(cfg, runner, args, out, bound))
    if args.json:
        with runs.written_by("--json"):
            files.write_json(args.json, report)


def test(
    cfg: Config,
    runner: Runner,
    args: argparse.Namespace,
    out: str,
    bound: PredictionSets | RiskThreshold | None,
) -> dict[str, Any]:
    """Print the effect on the test split; return the figures."""
    figures: dict[str, Any] = {}
    if args.method != "none":
        ignored = ignored_label(runner.model)
        for name, checkpoint in (("before", args.checkpoint), ("after", out)):
            print(f"testing {name} calibration ...", flush=True)
            figures[name] = runs.calibration_test(cfg, checkpoint, ignored, name)
        print(table(figures["before"], figures["after"]), flush=True)
    if isinstance(bound, PredictionSets):
        figures["reached"] = runs.sets_reached(runner, bound)
    elif bound is not None:
        figures["reached"] = runs.threshold_reached(runner, bound)
    if bound is not None:
        print(conformal_summary(bound, figures["reached"]), flush=True)
    return figures
