"""Train a model by its config: segmentation, classification or text, with CALS or without.

    python tools/train.py configs/cals/deeplabv3_cityscapes.py --data-root /data/cityscapes
    python tools/train.py SOME_CONFIG_OF_MMSEG_OR_MMPRETRAIN.py --cals

A wrong config, path or value ends in one line and exit code 2; CALS_MM_DEBUG=1 shows the traceback.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if importlib.util.find_spec("cals_mm") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmengine.config import Config

from cals_mm import runs
from cals_mm.config import add_cals, config_difference

RESUME_NEWEST = "newest"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
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
    parser.add_argument("--cals", action="store_true", help="add CALS to a config that has none")
    parser.add_argument(
        "--cals-margin", type=float, metavar="M", help="margin of --cals, in logit units"
    )
    parser.add_argument(
        "--cals-adaptive",
        action="store_true",
        help="let the margin of --cals follow the over-confidence on the validation data",
    )
    parser.add_argument(
        "--cals-allow-test-data",
        action="store_true",
        help="let --cals learn on a validation set that is the test set too, as in most configs "
        "of the frameworks; results on that test set are then optimistic",
    )
    args = parser.parse_args(argv)
    given = args.cals_margin is not None or args.cals_adaptive or args.cals_allow_test_data
    if given and not args.cals:
        parser.error("--cals-margin, --cals-adaptive and --cals-allow-test-data need --cals")
    return args


def with_cals(cfg: Config, args: argparse.Namespace) -> Config:
    """Add CALS and print what that changes in the config."""
    options: dict[str, Any] = {} if args.cals_margin is None else {"margin": args.cals_margin}
    if args.cals_adaptive:
        options["adaptive_margin"] = {}
    hook = {"allow_test_data": True} if args.cals_allow_test_data else None
    changed = add_cals(cfg, hook=hook, **options)
    if runs.rank() == 0:
        print(f"--cals changes the config:\n{config_difference(cfg, changed)}", flush=True)
    return changed


def choose_start(cfg: Config, resume: str | None, work_dir: str) -> None:
    """Decide between a fresh run and a resumed one, and check the checkpoint to start from."""
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


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = runs.load_config(args.config, args.cfg_options)
    if args.data_root:
        runs.set_data_root(cfg, args.data_root)
    for weights in runs.train_demo_from_scratch(cfg):
        print(f"demo data: training from scratch instead of from {weights}", flush=True)
    if args.cals:
        cfg = with_cals(cfg, args)
    if args.glove:
        runs.use_glove(cfg, args.glove)
    if args.amp:
        runs.use_mixed_precision(cfg)
    if args.seed is not None:
        cfg.randomness = {**cfg.get("randomness", {}), "seed": args.seed}
    work_dir = runs.prepare_work_dir(cfg, args.config, args.work_dir)
    choose_start(cfg, args.resume, work_dir)
    runs.prepare_devices(cfg, args.launcher)
    with runs.data_explained(cfg, ("train_dataloader", "val_dataloader")):
        runs.build_runner(cfg).train()


if __name__ == "__main__":
    runs.run(main)
