"""Classify texts, and print the probabilities.

    python -m cals_mm.text predict --checkpoint best.pth "The shuttle reached its orbit."

The text is the body of a post, so headers are not removed. ``-`` reads it from standard input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cals_mm import runs


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m cals_mm.text",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    predict = commands.add_parser("predict", help="classes of texts with their probabilities")
    predict.add_argument("--checkpoint", required=True, metavar="FILE", help="trained checkpoint")
    predict.add_argument("--top", type=int, default=5, metavar="N", help="classes to print")
    predict.add_argument("text", nargs="+", metavar="TEXT", help="a text; - for standard input")
    args = parser.parse_args(argv)
    if args.top < 1:
        parser.error(f"--top is {args.top}: give a number of classes, at least 1")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Print the most probable classes of each text."""
    from .predict import TextPredictor

    args = parse_args(argv)
    predictor = TextPredictor.from_checkpoint(args.checkpoint)
    texts = [sys.stdin.read() if text == "-" else text for text in args.text]
    width = max(map(len, predictor.classes))
    for number, probabilities in enumerate(predictor(texts)):
        if number:
            print()
        for index in probabilities.argsort(descending=True)[: args.top].tolist():
            print(
                f"{predictor.classes[index]:<{width}}  {100 * float(probabilities[index]):5.1f} %"
            )


if __name__ == "__main__":
    runs.run(main)
