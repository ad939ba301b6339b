"""The command ``cals``, which is ``python -m cals_mm`` too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from cals_mm import environment
from cals_mm.version import __version__

COMMANDS = {
    "train": ("cals_mm.commands.train", "train a model by its config, with any method"),
    "test": ("cals_mm.commands.test", "test a checkpoint: task metrics and calibration"),
    "predict": ("cals_mm.commands.predict", "predict images and texts, with calibrated confidence"),
    "calibrate": ("cals_mm.commands.calibrate", "calibrate a trained model, or bound its errors"),
    "export-onnx": ("cals_mm.commands.export_onnx", "export a trained model to ONNX"),
    "suggest-margin": ("cals_mm.commands.suggest_margin", "propose a margin from a trained model"),
    "benchmark": ("cals_mm.commands.benchmark", "compare methods on one task"),
    "analyze": ("cals_mm.commands.analyze", "pictures and figures of a finished run"),
    "demo": ("cals_mm.commands.demo", "compare cross entropy and CALS in minutes"),
    "env": ("cals_mm.environment", "versions, and what computes the loss on this machine"),
}
"""Module with the ``main(argv)`` of each command, and what it does."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command's name; the rest belongs to the command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="cals",
        usage="cals COMMAND [arguments]",
        description="Class adaptive network calibration for OpenMMLab.\n\n"
        + "\n".join(["commands:", *lines])
        + "\n\n`cals COMMAND --help` tells the arguments of one. CONFIG is a path, or a packaged\n"
        "config such as cals_mm::cals/deeplabv3_demo.py.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cals_mm {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; only its module is imported.

    Args:
        argv: Its name and arguments; None for those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    if not arguments:
        parser.print_help()
        return
    command = parser.parse_args(arguments[:1]).command
    sys.argv[0] = f"cals {command}"  # the name that the command's own usage shows
    if command == "env":  # of no use to it: MMEngine, which the others need
        sys.exit(environment.main(arguments[1:]))
    try:
        module = import_module(COMMANDS[command][0])
    except ModuleNotFoundError as error:
        if error.name != "mmengine":
            raise
        parser.exit(2, f"error: {error}\n")
    except KeyboardInterrupt:  # the libraries take seconds
        parser.exit(130, "interrupted\n")
    from cals_mm.runs import run

    run(module.main, arguments[1:])


if __name__ == "__main__":
    # Alone it prints the environment, which is what a report of a defect should contain.
    main(sys.argv[1:] or ["env"])
