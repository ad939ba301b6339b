"""Predict images or texts with calibrated confidence; no labels are needed.

    python tools/predict.py CONFIG.py CHECKPOINT.pth photos/ 'video/frame*.png' --out predictions
    python tools/predict.py CONFIG.py conformal_CHECKPOINT.pth photos/ --abstain 0.05 --out accepted

A segmentor writes for each image the predicted classes, their confidence, and an overlay that is
white where the model is unsure. A classifier of images or texts writes a line for each file, with
the probabilities of all classes. Confidences are calibrated if the checkpoint is, by
tools/calibrate.py. A file that cannot be read is named, the others are predicted, and the exit code
is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import CheckpointLoader
from tqdm import tqdm

from cals_mm import runs
from cals_mm.config import type_name
from cals_mm.frameworks.reporting import warn
from cals_mm.posthoc.checkpoint import fitted_bound
from cals_mm.posthoc.conformal import PredictionSets, RiskThreshold
from cals_mm.prediction import (
    IMAGES,
    TEXTS,
    Classes,
    Failure,
    ImageModel,
    Input,
    LineFile,
    MapFiles,
    Predicted,
    find_inputs,
    predict_texts,
)
from cals_mm.text.predict import TextPredictor


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG", help="config of the training run")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the trained model")
    parser.add_argument(
        "inputs",
        metavar="IMAGES",
        nargs="+",
        help="images, folders of images, or globs in quotes; for a text model files of one text "
        "each, or folders of .txt files",
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the results")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results of the same names in DIR"
    )
    parser.add_argument(
        "--abstain",
        type=float,
        metavar="RISK",
        help="segmentation: reject the pixels below the threshold that tools/calibrate.py --risk "
        "RISK fitted",
    )
    parser.add_argument(
        "--npz", action="store_true", help="segmentation: write confidences as float32 too"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=1,
        metavar="N",
        help="neighbouring images of one size to predict together",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE", help="config changes"
    )
    args = parser.parse_args(argv)
    if args.batch_size < 1:
        parser.error(f"--batch-size must be positive, got {args.batch_size}")
    return args


def threshold_for(risk: float | None, checkpoint: Mapping[str, Any]) -> RiskThreshold | None:
    """The checkpoint's threshold, if it was fitted for the risk; None without a risk."""
    if risk is None:
        return None
    bound = fitted_bound(checkpoint)
    if not isinstance(bound, RiskThreshold):
        raise ValueError(
            "the checkpoint carries no confidence threshold, which --abstain needs; fit one by "
            f"tools/calibrate.py CONFIG CHECKPOINT --risk {risk:g}"
        )
    if bound.risk != risk:
        raise ValueError(
            f"the checkpoint's threshold was fitted for a risk of {bound.risk:g}; give --abstain "
            f"{bound.risk:g}, or fit another by tools/calibrate.py CONFIG CHECKPOINT --risk "
            f"{risk:g}"
        )
    return bound


Results = MapFiles | LineFile
Predict = Callable[[Sequence[Input], Executor], Iterator[Predicted | Failure]]
Task = tuple[Predict, Results, ImageModel | None]


def text_task(args: argparse.Namespace, checkpoint: Mapping[str, Any]) -> Task:
    """How texts are predicted, and where the results go."""
    predictor = TextPredictor.from_checkpoint(args.checkpoint)
    results = line_file(args, Classes(predictor.classes), checkpoint)
    return lambda inputs, pool: predict_texts(predictor, inputs), results, None


def image_task(args: argparse.Namespace, cfg: Config, checkpoint: Mapping[str, Any]) -> Task:
    """How images are predicted, and where the results go."""
    model = ImageModel(cfg, checkpoint)
    results: Results
    if model.segmentation:
        threshold = threshold_for(args.abstain, checkpoint)
        results = MapFiles(args.out, model.classes, threshold, args.npz, args.overwrite)
    else:
        results = line_file(args, model.classes, checkpoint)

    def predict(inputs: Sequence[Input], pool: Executor) -> Iterator[Predicted | Failure]:
        return model.predict_files(inputs, pool, args.batch_size)

    return predict, results, model


def line_file(
    args: argparse.Namespace, classes: Classes, checkpoint: Mapping[str, Any]
) -> LineFile:
    """The results of a classifier; reject options for label maps."""
    for option, given in (("--abstain", args.abstain is not None), ("--npz", args.npz)):
        if given:
            raise ValueError(f"{option} is for label maps; this model gives one label a file")
    bound = fitted_bound(checkpoint)
    sets = bound if isinstance(bound, PredictionSets) else None
    return LineFile(args.out, classes, sets, args.overwrite)


def refuse_to_replace(results: Results, inputs: Sequence[Input]) -> None:
    """Reject results that exist, unless they may be replaced."""
    for item in inputs if not results.overwrite else ():
        for path in results.paths(item.name):
            if os.path.lexists(path):
                raise ValueError(
                    f"{path!r} exists and is not overwritten; give another folder by --out, or "
                    "replace it by --overwrite"
                )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    runs.check_checkpoint(args.checkpoint)
    of_text = type_name(cfg.model) == "TextClassifier"
    inputs = find_inputs(args.inputs, TEXTS if of_text else IMAGES, exclude=args.out)
    runs.check_writable(args.out, "--out")
    checkpoint: dict[str, Any] = CheckpointLoader.load_checkpoint(
        args.checkpoint, map_location="cpu", logger="silent"
    )
    if threads := runs.choose_threads(cfg):
        print(threads, flush=True)
    task = text_task(args, checkpoint) if of_text else image_task(args, cfg, checkpoint)
    predict, results, model = task
    refuse_to_replace(results, inputs)
    failures = 0
    with (
        runs.on_interrupt(results.after_interrupt()),
        runs.quiet_opencv(),
        ThreadPoolExecutor(2) if model is None else model.workers() as pool,
        runs.written_by("--out"),
    ):
        outcomes = results.write(predict(inputs, pool), pool)
        for failure in tqdm(outcomes, total=len(inputs), unit="file"):
            if failure is not None:
                failures += 1
                tqdm.write(f"{failure.input.path}: not predicted: {failure.reason}", sys.stderr)
    if model is not None and (warning := model.warning()):
        warn(warning)
    print(results.summary(), flush=True)
    if failures:
        print(f"{failures} of {len(inputs)} files were not predicted", file=sys.stderr, flush=True)
        sys.exit(1)
