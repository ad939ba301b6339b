"""Calibrate a trained model by scaling its logits, and save it as an ordinary checkpoint.

    python tools/calibrate.py configs/ce/deeplabv3_camvid.py CHECKPOINT.pth --method temperature

Fits the scaling on the validation split, folds it into the model's last layer, checks on a batch
that the folded model gives the scaled logits, saves a new checkpoint and prints what changed on
the test split. The new checkpoint is used with the same config, by any program that reads the old
one; its probabilities are the calibrated ones.
"""

import argparse
import copy
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if importlib.util.find_spec("cals_mm") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from cals_mm import files, runs
from cals_mm.config import type_name, with_metric
from cals_mm.core import ClassTemperatureScaler, LogitScaler, TemperatureScaler, VectorScaler
from cals_mm.frameworks import ignored_label
from cals_mm.hooks._splits import shared_files
from cals_mm.posthoc.checkpoint import KEY, default_name, folded_checkpoint, save_new
from cals_mm.posthoc.folding import check_folded, final_layer, fold_


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    runs.add_common_arguments(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the trained model")
    parser.add_argument(
        "--method",
        choices=["temperature", "class", "vector"],
        default="temperature",
        help="one temperature (predictions stay), one per class, or a weight and a bias per class",
    )
    parser.add_argument(
        "--l2", type=float, default=1e-3, help="how much classes share, for class and vector"
    )
    parser.add_argument(
        "--pixels", type=int, default=2000, metavar="N", help="pixels drawn from each image"
    )
    parser.add_argument(
        "--out", metavar="NEW.pth", help="default: beside CHECKPOINT, the method before its name"
    )
    parser.add_argument("--json", metavar="FILE.json", help="write scaling and figures here too")
    parser.add_argument("--no-test", action="store_true", help="do not run the test split")
    parser.add_argument(
        "--again", action="store_true", help="calibrate a checkpoint that is calibrated already"
    )
    parser.add_argument(
        "--allow-test-data",
        action="store_true",
        help="accept validation files that are test files too; the figures are optimistic then",
    )
    return parser.parse_args(argv)


def check(args: argparse.Namespace, cfg: Config, out: str) -> None:
    """Everything that can be refused before the network runs."""
    if args.launcher != "none":
        raise ValueError("calibration runs in one process; leave --launcher out")
    runs.check_checkpoint(args.checkpoint)
    for name, path in (("--out", out), ("--json", args.json)):
        if path and Path(path).exists():
            raise ValueError(f"{name} {path!r} exists and is not overwritten; name another file")
        if path:
            runs.check_writable(str(Path(path).absolute().parent))
    if not args.no_test:
        runs.check_test_split(cfg)


def make_scaler(method: str, num_classes: int, l2: float) -> LogitScaler:
    if method == "temperature":
        return TemperatureScaler()
    if method == "class":
        return ClassTemperatureScaler(num_classes, l2)
    return VectorScaler(num_classes, l2)


def fit(cfg: Config, args: argparse.Namespace) -> tuple[LogitScaler, str, dict[str, Any], int]:
    """The scaling, the layer it is folded into, what is to be noted, and the ignored label."""
    runner = runs.held_out_runner(copy.deepcopy(cfg), args.checkpoint)
    shared = 0 if args.allow_test_data else shared_files(runner)
    if shared:
        raise ValueError(
            f"{shared} validation files are test files too, and a scaling fitted to them makes "
            "the test results optimistic: hold out a part of the training set as val_dataloader, "
            "or accept it by --allow-test-data"
        )
    model, batch = runner.model, next(iter(runner.val_dataloader))

    def read_logits() -> list[torch.Tensor]:
        # TF32 would hide small differences behind rounding.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            seen = runs.batch_predictions(model, copy.deepcopy(batch))
            return [prediction.logits.cpu() for prediction in seen]

    before = read_logits()
    layer = final_layer(model, read_logits)
    logits, target = runs.held_out_logits(runner, args.pixels)
    scaler = make_scaler(args.method, logits.shape[1], args.l2).fit(logits, target)
    last: Any = model.get_submodule(layer)
    fold_(last.weight, last.bias, scaler)
    check_folded(read_logits, before, scaler)
    weight, bias = (part.tolist() for part in scaler.linear())
    notes = {
        "method": args.method,
        "layer": layer,
        "weight": weight,
        "bias": bias,
        "samples": len(target),
        "nll_before": float(F.cross_entropy(logits.double(), target)),
        "nll_after": float(F.cross_entropy(scaler(logits.double()), target)),
        "source": Path(args.checkpoint).name,
    }
    if args.method == "temperature":
        notes["temperature"] = float(1 / scaler.linear()[0])
    return scaler, layer, notes, ignored_label(model)


def test(cfg: Config, checkpoint: str, ignore_index: int, name: str) -> dict[str, float]:
    """What tools/test.py gives for the checkpoint, with calibration."""
    cfg = copy.deepcopy(cfg)
    options = {"ignore_index": ignore_index, "class_table": False, "draw": False}
    cfg.test_evaluator = with_metric(cfg.test_evaluator, options)
    hooks = list(cfg.get("custom_hooks") or [])
    if "KeepLogitsHook" not in map(type_name, hooks):
        cfg.custom_hooks = [*hooks, {"type": "KeepLogitsHook"}]
    cfg.load_from, cfg.resume = checkpoint, False
    cfg.experiment_name = f"calibrate_{name}"
    print(f"testing {name} calibration ...", flush=True)
    return runs.build_runner(cfg).test()


def summary(notes: dict[str, Any], samples: str) -> str:
    weight = notes["weight"]
    if notes["method"] == "temperature":
        found = f"temperature {notes['temperature']:.4f}"
    else:
        found = f"{notes['method']} scaling, weights from {min(weight):.3f} to {max(weight):.3f}"
    if weight == 1.0:
        found += " (no temperature has a better likelihood)"
    elif notes["method"] == "temperature" and not 0.011 < weight < 99:
        found += " (the end of its range: all right, or no better than chance)"
    return (
        f"{found}, from {notes['samples']} held-out {samples}: NLL {notes['nll_before']:.4f} -> "
        f"{notes['nll_after']:.4f}"
    )


def table(before: dict[str, float], after: dict[str, float]) -> str:
    width = max(len(name) for name in before)
    lines = [f"{'test split':<{width}}  {'before':>10}  {'after':>10}"]
    lines.append("-" * len(lines[0]))
    for name, value in before.items():
        lines.append(f"{name:<{width}}  {value:10.4f}  {after[name]:10.4f}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    out = args.out or default_name(args.checkpoint, args.method)
    check(args, cfg, out)
    checkpoint = CheckpointLoader.load_checkpoint(args.checkpoint, map_location="cpu")
    if KEY in checkpoint.get("meta", {}) and not args.again:
        raise ValueError(
            f"checkpoint {args.checkpoint!r} is calibrated already, by method "
            f"{checkpoint['meta'][KEY]['method']!r}; use the one it was made from, or scale it "
            "once more by --again"
        )
    work_dir = args.work_dir or str(Path(runs.default_work_dir(cfg, args.config)) / "calibrate")
    runs.prepare_work_dir(cfg, args.config, work_dir)
    cfg.log_level = "WARNING"
    with runs.data_explained(cfg, ("val_dataloader",)):
        scaler, layer, notes, ignored = fit(cfg, args)
    save_new(folded_checkpoint(checkpoint, layer, scaler, notes), out)
    print(summary(notes, "pixels" if ignored != -100 else "samples"))
    print(f"calibrated checkpoint: {out}", flush=True)
    report = {"scaling": notes, "checkpoint": out}
    if not args.no_test:
        with runs.data_explained(cfg, ("test_dataloader",)):
            before = test(cfg, args.checkpoint, ignored, "before")
            after = test(cfg, out, ignored, "after")
        print(table(before, after), flush=True)
        report.update(before=before, after=after)
    if args.json:
        files.write_json(args.json, report)


if __name__ == "__main__":
    runs.run(main)
