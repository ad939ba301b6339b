"""Compare methods on one task, under one budget, with settings chosen on held-out data.

    python tools/benchmark.py --task digits-lt
    python tools/benchmark.py --task camvid-80 --methods ce cals mbls --data-root DIR --tries 3
    python tools/benchmark.py --config MY_CONFIG.py --methods ce mbls cals --data-root DIR

Every run is a process of tools/train.py or tools/test.py in WORK_DIR/TASK/METHOD/SETTING/seedS.
Finished runs are skipped and interrupted ones resumed, so the same command can be repeated at any
time. If a run fails, it is reported and the others continue; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from cals_mm import runs
from cals_mm.benchmark import (
    STORED,
    TASKS,
    Budget,
    Campaign,
    Processes,
    Task,
    check_methods,
    collect,
    report,
    store_results,
    task_of,
    with_columns_of,
    write_results,
)
from cals_mm.benchmark.plan import DEFAULT_SHIFT
from cals_mm.benchmark.reporting import results_file
from cals_mm.config import counts_iterations
from cals_mm.packaged import PACKAGED, config_file


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--task", choices=TASKS, help="what is compared on")
    subject.add_argument(
        "--config",
        metavar="MY_CONFIG.py",
        help="compare on any config of mmseg, mmpretrain or text instead",
    )
    parser.add_argument(
        "--methods", nargs="+", metavar="METHOD", help="default: all that are for the task"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument(
        "--tries",
        type=int,
        default=1,
        metavar="N",
        help="settings tried of each method, chosen between on held-out data with the first seed "
        "(default: 1, the method as it is)",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="trainings at a time")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data")
    parser.add_argument("--work-dir", default="work_dirs/benchmark", metavar="DIR")
    parser.add_argument(
        "--checkpoint",
        choices=["best", "last"],
        default="best",
        help="which is tested: best on the held-out data, or of the last epoch",
    )
    parser.add_argument("--epochs", type=int, metavar="E", help="shorter or longer trainings")
    parser.add_argument("--amp", action="store_true", help="mixed precision, as of tools/train.py")
    parser.add_argument(
        "--shift",
        nargs="*",
        metavar="KIND:SEVERITY",
        help="test on corrupted images too, as of tools/test.py --corrupt (default: "
        f"{' '.join(DEFAULT_SHIFT)})",
    )
    parser.add_argument(
        "--table-only", action="store_true", help="start nothing; make the table of what is done"
    )
    parser.add_argument(
        "--store",
        nargs="?",
        const=STORED,
        metavar="DIR",
        help=f"also write the figures of all runs to DIR/TASK.json; without DIR to {STORED}, which "
        "the tables of the docs are rendered from",
    )
    args = parser.parse_args(argv)
    for name in ("tries", "jobs", "epochs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be at least 1, got {value}")
    if len(set(args.seeds)) < len(args.seeds):
        parser.error("--seeds names one twice")
    if args.shift is not None:
        args.shift = args.shift or list(DEFAULT_SHIFT)
    return args


def own_task(args: argparse.Namespace) -> Task:
    """The task of a user's config.

    Raises:
        ValueError: If methods cannot be compared on it.
    """
    file = config_file(args.config)
    cfg = runs.load_config(args.config)
    if args.epochs and counts_iterations(cfg.get("train_cfg") or {}):
        raise ValueError(f"{file.name} counts iterations, so --epochs does not change its length")
    return task_of(cfg, file)


def first_figures(campaign: Campaign) -> dict[str, float]:
    """Figures of the first run that was tested; none if there is none."""
    return next((found for seeds in campaign.tested.values() for found in seeds.values()), {})


def check_names(work_dir: str, task: Task) -> None:
    """Reject names of folders that MMEngine would change in ``--cfg-options``."""
    for name, place in ((work_dir, "--work-dir"), (task.name, "--config")):
        if unfit := [sign for sign in ",()[] '\"" if sign in name]:
            raise ValueError(
                f"{place} {name!r} has a {unfit[0]!r} in it, which no option of a config may have; "
                "choose another name"
            )
    if task.own and task.name in TASKS:
        raise ValueError(
            f"a config named {task.name!r} would share the folder of the task {task.name}; rename "
            "the file"
        )


def check_shift(task: Task, words: Sequence[str]) -> list[str]:
    """Reject corruptions that do not exist, or a task without images."""
    cfg = Config.fromfile(PACKAGED / task.config, import_custom_modules=False)
    corruptions = [runs.Corruption.parse(word) for word in words]
    for corruption in corruptions:
        runs.corrupt_test_images(cfg, corruption)
    return [str(corruption) for corruption in corruptions]


@runs.on_interrupt("the same command goes on")
def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    task = TASKS[args.task] if args.task else own_task(args)
    methods = check_methods(PACKAGED, task, args.methods)
    if task.needs_data and not args.data_root and not args.table_only:
        raise ValueError(f"the task {task.name} needs --data-root DIR, the folder of its data")
    if args.data_root and not Path(args.data_root).is_dir():
        raise FileNotFoundError(f"--data-root {args.data_root!r} is not a folder")
    if (task.needs_data or task.own) and not args.table_only:
        # Once here, instead of in every run's log.
        cfg = runs.load_config(str(PACKAGED / task.config))
        if args.data_root:
            runs.set_data_root(cfg, args.data_root)
        runs.check_data(cfg)
    check_names(args.work_dir, task)
    work_dir = Path(args.work_dir).expanduser()
    runs.check_writable(str(work_dir / task.name))
    budget = Budget(PACKAGED, work_dir, args.data_root, args.epochs, args.amp)
    campaign = Campaign(
        budget,
        task,
        methods,
        args.seeds,
        args.tries,
        args.checkpoint,
        check_shift(task, args.shift or ()),
        None if args.table_only else Processes(args.jobs),
        say=lambda line: print(line, flush=True),
    )
    if campaign.processes:
        print(campaign.processes, flush=True)
        if args.amp and (note := runs.note_of_slow_precision()):
            print(note, flush=True)
    run_to_the_end(campaign)
    if task.own:
        campaign.task = with_columns_of(task, first_figures(campaign))
    print("making intervals and pictures: a second or two for each run", flush=True)
    results = collect(campaign)
    stored = [Path(args.store) / f"{results.name}.json"] if args.store else []
    before = [results_file(results, work_dir / task.name), *stored]
    if not results.rows and any(file.exists() for file in before):
        report_failures(campaign)
        print("no run has been tested: the results written before stay as they are", flush=True)
        sys.exit(1)
    files = [*write_results(results, report(campaign, results), work_dir / task.name), *stored]
    for file in stored:
        store_results(results, file)
    print(files[0].read_text("utf-8"))
    print(f"written: {', '.join(map(str, files))}", flush=True)
    report_failures(campaign)
    if campaign.failures and not args.table_only:
        sys.exit(1)


def run_to_the_end(campaign: Campaign) -> None:
    """Execute all runs that are not finished; an interrupt or SIGTERM ends them too."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        campaign.run()
    finally:
        signal.signal(signal.SIGTERM, before)


def report_failures(campaign: Campaign) -> None:
    """Print what is missing, and why."""
    for name, reason in campaign.failures.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
