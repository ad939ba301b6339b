"""Compare cross entropy and CALS in minutes, with nothing but this repository.

    python tools/demo.py                          # make demo
    python tools/demo.py --task classification    # make demo-classification
    python tools/demo.py --task text              # make demo-text

Each task trains a small network twice: segmentation a DeepLabV3 on synthetic street scenes in the
Cityscapes layout, classification a ResNet on scikit-learn's digits with a long tail, and text a
network over words on docstrings of Python's standard library, which it classifies by subject. The
demo is tools/benchmark.py with two methods and one seed: each checkpoint is chosen on held-out data
and tested on data that neither run has seen. Repeating the command continues an interrupted demo
and skips finished runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from cals_mm import runs
from cals_mm.benchmark import TASKS, Budget, Campaign, Processes, collect, report, write_results
from cals_mm.benchmark.execution import watching
from cals_mm.benchmark.plan import DEFAULT
from cals_mm.benchmark.reporting.pictures import pooled
from cals_mm.benchmark.reporting.table import figures_table
from cals_mm.datasets.street_scenes import make_demo_set
from cals_mm.methods import METHODS
from cals_mm.packaged import PACKAGED
from cals_mm.visualization import compare_reliability, save_image

from .benchmark import run_to_the_end

COMPARED = ("ce", "cals")
# Task of the benchmark, and description of its test data.
DEMOS = {
    "segmentation": ("demo", "cities that neither run has seen"),
    "classification": ("digits-lt", "60 scans of each digit that neither run has seen"),
    "text": ("stdlib-docs", "docstrings that neither run has seen"),
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=DEMOS, default="segmentation", help="which demo")
    parser.add_argument(
        "--data-root", default="data/demo", metavar="DIR", help="street scenes (segmentation)"
    )
    parser.add_argument(
        "--work-dir", metavar="DIR", help="results (default: work_dirs/demo[-TASK])"
    )
    parser.add_argument("--epochs", type=int, help="shorter or longer than the config's training")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and augmentation")
    parser.add_argument(
        "--jobs",
        type=int,
        choices=(1, 2),
        default=min(2, runs.cores()),
        help="2: both trainings at a time, on one thread each (default where there are two cores)",
    )
    return parser.parse_args(argv)


@runs.on_interrupt("the same command goes on")
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    began = time.monotonic()
    name, test_split = DEMOS[args.task]
    suffix = "" if args.task == "segmentation" else f"-{args.task}"
    out = Path(args.work_dir or f"work_dirs/demo{suffix}").expanduser()
    runs.check_writable(str(out))
    data_root = None
    if args.task == "segmentation":
        data_root = args.data_root
        make_demo_set(data_root)
    budget = Budget(PACKAGED, out, data_root, args.epochs)
    # What this process does itself, the report, is too little for several.
    runs.use_threads(1)
    processes = Processes(args.jobs)
    print(processes, flush=True)
    campaign = Campaign(
        budget, TASKS[name], COMPARED, [args.seed], processes=processes, say=tqdm.write
    )
    with watching([campaign.a_run(method, DEFAULT, args.seed) for method in COMPARED]):
        run_to_the_end(campaign)
    if campaign.failures:  # the campaign has said why
        sys.exit(1)
    results = collect(campaign)
    write_results(results, report(campaign, results), out)
    picture = out / "reliability.png"
    sums = {METHODS[method].title: part for method, part in pooled(campaign).items()}
    save_image(compare_reliability(sums), picture)
    print(f"\nTest split ({test_split}), {time.monotonic() - began:.0f} s:\n")
    print(figures_table(results))
    print(f"\nPicture: {picture}; report: {out / 'results.html'}; curves and logs: {out}")
    print("next: cals train YOUR_CONFIG.py --cals")
