"""Test a checkpoint on the config's test split: task metrics and calibration.

    python tools/test.py configs/cals/deeplabv3_cityscapes.py CHECKPOINT.pth --out metrics.json
    python tools/test.py configs/ce/resnet_digits-lt.py CHECKPOINT.pth --temperature held-out
    python tools/test.py configs/ce/deeplabv3_camvid.py CHECKPOINT.pth --corrupt blur:3 noise:2

A checkpoint of a CALS run can be tested with the config of plain cross entropy, and vice versa: the
multipliers, needed only for training, are then left out, and the log names them.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from cals_mm import files, runs
from cals_mm.config import (
    SCALED,
    append_metric,
    calibration_metric,
    measure_calibration,
    with_output_names,
    with_scaled_metrics,
)

HELD_OUT = "held-out"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    runs.add_common_arguments(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint file to test")
    parser.add_argument("--out", metavar="FILE.json", help="write the metrics here as well")
    parser.add_argument(
        "--predictions",
        metavar="FILE.pt",
        help="write logits and labels here (one label a sample: classifiers)",
    )
    parser.add_argument(
        "--image-sums",
        metavar="FILE.pt",
        help="write the calibration sums of each image here (label maps)",
    )
    parser.add_argument(
        "--temperature",
        metavar=f"T|{HELD_OUT}",
        help="also give the calibration of the logits divided by T, or by the temperature with the "
        "lowest NLL on the validation split; its values are named scaled/...",
    )
    parser.add_argument(
        "--corrupt",
        nargs="+",
        default=[],
        metavar="KIND:SEVERITY",
        help="test on corrupted images instead: noise, blur, brightness, contrast or jpeg with the "
        "severities 1 to 5 of ImageNet-C. Figures of blur:3 are named blur:3/..., files ...-blur-3",
    )
    return parser.parse_args(argv)


def temperature(cfg: Config, args: argparse.Namespace) -> float:
    """The temperature that was given, or that of the validation split.

    Raises:
        ValueError: If it is no positive number, or cannot be fitted.
    """
    if args.temperature != HELD_OUT:
        try:
            value = float(args.temperature)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise ValueError(
                f"--temperature must be a positive number or {HELD_OUT}, got {args.temperature!r}"
            )
        return value
    if args.launcher != "none":
        raise ValueError(
            "a temperature is fitted in one process; leave --launcher out, or give the number"
        )
    with runs.data_explained(cfg, ("val_dataloader",)):
        return runs.held_out_temperature(cfg, args.checkpoint)


def check_out(flag: str, path: str) -> None:
    """Check before the test that its result can be written."""
    if os.path.isdir(path):
        raise ValueError(f"{flag} {path!r} is a folder; give the name of a file")
    runs.check_writable(os.path.dirname(os.path.abspath(path)), flag)


def run_test(cfg: Config, corruptions: Sequence[runs.Corruption]) -> dict[str, Any]:
    """Test on the images as they are, or on corrupted ones, whose figures come before a slash."""
    if not corruptions:
        metrics: dict[str, Any] = runs.build_runner(cfg).test()
        return metrics
    found = {}
    for corruption in corruptions:
        changed = copy.deepcopy(cfg)
        runs.corrupt_test_images(changed, corruption)
        name = "-".join(map(str, corruption))
        changed.test_evaluator = with_output_names(changed.test_evaluator, name)
        changed.experiment_name = f"test_{name}"
        print(f"testing with {corruption} ...", flush=True)
        metrics = runs.build_runner(changed).test()
        found.update({f"{corruption}/{key}": value for key, value in metrics.items()})
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    corruptions = [runs.Corruption.parse(text) for text in args.corrupt]
    cfg = runs.load_config(args.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    runs.check_test_split(cfg)
    runs.check_checkpoint(args.checkpoint)
    if args.out:
        check_out("--out", args.out)
    if args.predictions:
        check_out("--predictions", args.predictions)
        predictions = {"type": "PredictionFile", "out_file": os.path.abspath(args.predictions)}
        cfg.test_evaluator = append_metric(cfg.test_evaluator, predictions)
    if args.image_sums:
        check_out("--image-sums", args.image_sums)
        measure_calibration(cfg, {})
        ignored = calibration_metric(cfg.test_evaluator).get("ignore_index", "auto")
        sums = {"type": "ImageSumsFile", "out_file": os.path.abspath(args.image_sums)}
        cfg.test_evaluator = append_metric(cfg.test_evaluator, {**sums, "ignore_index": ignored})
    # In a subfolder, so that the dumped config of the training run is not replaced.
    work_dir = args.work_dir or os.path.join(runs.default_work_dir(cfg, args.config), "test")
    runs.prepare_work_dir(cfg, args.config, work_dir)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    runs.check_data(cfg, ("test_dataloader",))
    divisor = None
    if args.temperature:
        measure_calibration(cfg, {})
        divisor = temperature(cfg, args)
        cfg.test_evaluator = with_scaled_metrics(cfg.test_evaluator, divisor)
    runs.prepare_devices(cfg, args.launcher)
    threads = runs.choose_threads(cfg)
    if threads and runs.rank() == 0:
        print(threads, flush=True)
    with runs.data_explained(cfg, ("test_dataloader",)):
        metrics = run_test(cfg, corruptions)
    if divisor is not None:
        metrics[f"{SCALED}/temperature"] = divisor
    if args.out and runs.rank() == 0:
        with runs.written_by("--out"):
            files.write_json(args.out, metrics)
        print(f"metrics written to {args.out}", flush=True)
