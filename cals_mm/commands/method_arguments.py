"""Arguments that choose the method a config is trained with."""

from __future__ import annotations

import argparse

from mmengine.config import Config, DictAction

from cals_mm.config import config_difference, for_training, nested
from cals_mm.methods import METHODS

__all__ = [
    "add_method_arguments",
    "check_method_arguments",
    "method_changes",
    "train_with_method",
]


def add_method_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a method."""
    group = parser.add_argument_group(
        "method", "train any config of mmseg, mmpretrain or text with another method"
    )
    names = "; ".join(f"{method.name}: {method.title}" for method in METHODS.values())
    group.add_argument("--method", choices=METHODS, metavar="NAME", help=names)
    group.add_argument(
        "--margin",
        type=margin,
        metavar="M",
        help="margin of the method, in logit units; 'auto' (cals): it adjusts itself, the default "
        "of cals where the config has none in method_defaults",
    )
    group.add_argument(
        "--method-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="more arguments of the method's loss, for instance weight=0.05 class_reduction=sum",
    )
    group.add_argument(
        "--hold-out",
        type=float,
        metavar="FRACTION",
        help="validate on this share of the training samples; 0.1 where the config validates on "
        "its test set",
    )
    group.add_argument(
        "--hold-out-by",
        metavar="GROUP",
        help="what stays together when samples are held out: 'dir', the parent folder, or a "
        "regular expression that finds the group in the path",
    )
    group.add_argument(
        "--allow-test-data",
        action="store_true",
        help="let the method learn on a validation set that is the test set too, as in most "
        "configs of the frameworks; results on that test set are then optimistic",
    )
    group.add_argument("--cals", action="store_true", help="the same as --method cals")
    group.add_argument(
        "--cals-margin", type=margin, metavar="M", help="with --cals, the same as --margin"
    )
    group.add_argument(
        "--cals-allow-test-data",
        action="store_true",
        help="with --cals, the same as --allow-test-data",
    )


def margin(text: str) -> float | str:
    """Parse a margin: a number, or a word that the loss understands."""
    try:
        return float(text)
    except ValueError:
        return text


def check_method_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Reject options without their method, and merge their alternative names."""
    if args.cals and args.method not in (None, "cals"):
        parser.error(f"--cals is --method cals, and --method is {args.method}: give one of them")
    if args.cals:
        args.method = "cals"
    elif args.cals_margin is not None or args.cals_allow_test_data:
        parser.error("--cals-margin and --cals-allow-test-data need --cals")
    args.allow_test_data |= args.cals_allow_test_data
    args.margin = args.cals_margin if args.margin is None else args.margin
    if args.method is None and (args.margin is not None or args.allow_test_data):
        parser.error("--margin and --allow-test-data need --method")
    held_out = args.hold_out is not None or args.hold_out_by is not None
    if args.method is None and held_out:
        parser.error("--hold-out and --hold-out-by need --method")
    if args.allow_test_data and held_out:
        parser.error("--hold-out and --allow-test-data: give one of them")
    if args.method is None and args.method_options:
        parser.error("--method-options needs --method")


def train_with_method(cfg: Config, args: argparse.Namespace) -> Config:
    """Return a copy of the config with the method of ``--method``."""
    options = nested(args.method_options or {})
    if args.margin is not None:
        options["margin"] = args.margin
    return for_training(
        cfg,
        args.method,
        allow_test_data=args.allow_test_data,
        hold_out=args.hold_out,
        hold_out_by=args.hold_out_by,
        **options,
    )


def method_changes(method: str, before: Config, after: Config) -> str:
    """Lines that show what ``--method`` changed; formatting them takes up to a second."""
    difference = config_difference(before, after) or "(in nothing)"
    return f"--method {method} changes the config:\n{difference}\n"
