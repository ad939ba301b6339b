"""Train a model by its config: segmentation, classification or text, with any method.

    python tools/train.py configs/cals/deeplabv3_cityscapes.py --data-root /data/cityscapes
    python tools/train.py SOME_CONFIG_OF_MMSEG_OR_MMPRETRAIN.py --cals
    python tools/train.py SOME_CONFIG.py --method mbls --margin 7 --dump MY_CONFIG.py

A wrong config, path or value is reported in one line, with exit code 2; CALS_MM_DEBUG=1 shows the
traceback.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Sequence

from mmengine.config import Config

from cals_mm import files, runs
from cals_mm.config import with_fused_resize

from .method_arguments import (
    add_method_arguments,
    check_method_arguments,
    method_changes,
    train_with_method,
)

RESUME_NEWEST = "newest"
LOADERS = ("train_dataloader", "val_dataloader")
"""Those whose data a training needs."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    runs.add_common_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const=RESUME_NEWEST,
        metavar="CHECKPOINT",
        help="continue from the checkpoint, or from the newest one in the work dir",
    )
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision (float16; bfloat16 on a CPU)"
    )
    parser.add_argument("--seed", type=int, help="seed of all random numbers")
    parser.add_argument(
        "--glove", metavar="FILE", help="frozen word vectors of a GloVe text file (text)"
    )
    parser.add_argument(
        "--fused",
        action="store_true",
        help="segmentation: compute losses and accuracy before resizing, in less time and memory; "
        "CALS, label smoothing and MbLS do so anyway",
    )
    add_method_arguments(parser)
    parser.add_argument(
        "--dump",
        metavar="FILE.py",
        help="write the config as it would be trained, and train nothing",
    )
    args = parser.parse_args(argv)
    check_method_arguments(parser, args)
    return args


def dump(cfg: Config, file: str) -> None:
    """Write a config to a new file.

    Raises:
        ValueError: If the file exists, or its name does not end in .py.
    """
    if not file.endswith(".py"):
        raise ValueError(f"--dump {file!r} must end in .py")
    with runs.written_by("--dump"):
        files.write_text(file, cfg.pretty_text, overwrite=False)
    print(f"config written to {file}", flush=True)


def choose_start(cfg: Config, resume: str | None, work_dir: str) -> None:
    """Decide between a new and a resumed run, and check the checkpoint to start from."""
    if resume == RESUME_NEWEST:
        resume = runs.find_last_checkpoint(work_dir)
        if resume is None:
            runs.refuse_to_overwrite(work_dir, cure="name one of them by --resume CHECKPOINT")
            if runs.rank() == 0:
                print(f"--resume: no checkpoint in {work_dir}, the run starts anew", flush=True)
    elif resume is None and not cfg.get("resume"):
        runs.refuse_to_overwrite(work_dir, cure="continue it by --resume")
    if resume is not None:
        cfg.resume = True
        cfg.load_from = resume
    if cfg.get("load_from"):
        runs.check_checkpoint(cfg.load_from)


def print_changes(method: str | None, before: Config, after: Config) -> None:
    """Print what the method changed, if one was given."""
    if method:
        print(method_changes(method, before, after), end="", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    for weights in runs.train_demo_from_scratch(cfg):
        print(f"demo data: training from scratch instead of from {weights}", flush=True)
    before = cfg
    if args.method:
        cfg = train_with_method(cfg, args)
    after = copy.deepcopy(cfg)
    if args.fused:
        cfg = with_fused_resize(cfg)
    if args.glove:
        runs.use_glove(cfg, args.glove)
    if args.amp:
        runs.use_mixed_precision(cfg)
        if (note := runs.note_of_slow_precision()) and runs.rank() == 0:
            print(note, flush=True)
    if args.seed is not None:
        cfg.randomness = {**cfg.get("randomness", {}), "seed": args.seed}
    if args.dump:
        if runs.rank() == 0:
            print_changes(args.method, before, after)
            dump(cfg, args.dump)
        return
    runs.check_training(cfg)
    work_dir = runs.prepare_work_dir(cfg, args.config, args.work_dir, args.method)
    choose_start(cfg, args.resume, work_dir)
    runs.check_data(cfg, LOADERS)
    if runs.rank() == 0:
        print_changes(args.method, before, after)
    runs.prepare_devices(cfg, args.launcher)
    threads = runs.choose_threads(cfg)
    if threads and runs.rank() == 0:
        print(threads, flush=True)
    advice = "add --resume to continue from the last checkpoint"
    with runs.data_explained(cfg, LOADERS), runs.on_interrupt(advice):
        runs.build_runner(cfg).train()
    if runs.rank() == 0:
        folder = os.path.relpath(work_dir)
        print(f"checkpoints, config and log: {folder}", flush=True)
        if cfg.get("test_dataloader"):
            print(f"next: cals analyze {folder}", flush=True)
