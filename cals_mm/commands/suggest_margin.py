"""Suggest a margin from a model trained with cross entropy and its held-out data.

    python tools/suggest_margin.py configs/ce/deeplabv3_camvid.py CHECKPOINT

Runs the validation split once, fits the temperature that minimises its negative log-likelihood, and
prints the margin that a model calibrated by this temperature would just keep. If the model is not
over-confident, it says that CALS is not needed. Test data are not used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cals_mm import runs
from cals_mm.core import MarginSuggestion, suggest_margin


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    runs.add_common_arguments(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="trained without CALS")
    parser.add_argument(
        "--quantile", type=float, default=0.5, help="of the logit distances; smaller is stronger"
    )
    parser.add_argument(
        "--pixels", type=int, default=2000, metavar="N", help="pixels drawn from each image"
    )
    return parser.parse_args(argv)


def report(suggestion: MarginSuggestion, samples: int) -> str:
    """Format the suggestion."""
    found = (
        f"{samples} held-out samples: mean confidence minus accuracy "
        f"{100 * suggestion.gap:+.2f} %, temperature {suggestion.temperature:.3f}\n"
    )
    if not suggestion.overconfident:
        return found + (
            "The model is not over-confident: CALS is not needed, and a small margin would make "
            f"it under-confident (one that changes little: {suggestion.margin:.1f} or more)."
        )
    return found + (
        f"Suggested margin: {suggestion.margin:.1f}\n"
        f"Try it, and one step to either side, on the held-out data: "
        f"{0.8 * suggestion.margin:.1f}, {1.25 * suggestion.margin:.1f}."
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    runs.check_checkpoint(args.checkpoint)
    work_dir = args.work_dir or str(Path(runs.default_work_dir(cfg, args.config)) / "margin")
    runs.prepare_work_dir(cfg, args.config, work_dir)
    runs.check_data(cfg, ("val_dataloader",))
    cfg.log_level = "WARNING"
    with runs.data_explained(cfg, ("val_dataloader",)):
        runner = runs.held_out_runner(cfg, args.checkpoint)
        logits, target = runs.held_out_logits(runner, args.pixels)
    print(report(suggest_margin(logits, target, args.quantile), len(target)))
