"""Arguments that the training and the test script share."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import get_args

from mmengine.config import DictAction

from .devices import Launcher

__all__ = ["add_common_arguments", "add_launcher_argument"]


def add_common_arguments(parser: ArgumentParser) -> None:
    """Add the config and its changes, the folders for output and data, and the launcher."""
    parser.add_argument("config", metavar="CONFIG", help="config file")
    parser.add_argument(
        "--work-dir",
        metavar="DIR",
        help="folder to write to (default: work_dirs/<method>/<config>)",
    )
    parser.add_argument(
        "--data-root",
        metavar="DIR",
        help="read the data here instead of the config's data_root; where its data sets have "
        "several, DIR replaces the part they share",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="changes to the config, e.g. train_cfg.max_epochs=5 "
        "model.backbone.depth=18; lists as key=[a,b] or key=a,b",
    )
    add_launcher_argument(parser)


def add_launcher_argument(parser: ArgumentParser) -> None:
    """Add the launcher."""
    parser.add_argument(
        "--launcher",
        choices=get_args(Launcher),
        default="none",
        help="what started the processes; set by dist_*.sh and slurm_*.sh",
    )
    # torch's older launcher passes the rank this way instead of as an environment variable.
    parser.add_argument(
        "--local_rank", "--local-rank", type=int, default=0, help="set by launchers"
    )
