"""Make the synthetic street scenes of the demo, in the Cityscapes layout.

Usage: python tools/make_demo_data.py [--out data/demo] [--seed 0] [--size 128] ...
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

if importlib.util.find_spec("cals_mm") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cals_mm.datasets.street_scenes import DemoSpec, make_demo_set


class _Parser(argparse.ArgumentParser):
    """Report invalid input in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: list[str] | None = None) -> int:
    """Run the tool.

    Args:
        argv: Arguments; None for those of the command line.

    Returns:
        Exit code: 0, or 2 for invalid input.
    """
    default = DemoSpec()
    parser = _Parser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--out", default="data/demo", help="folder to make")
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of all scenes")
    parser.add_argument(
        '--size', type=int, default=default.height, metavar='HEIGHT',
        help='image height in pixels; the width is twice that',
    )  # fmt: skip
    parser.add_argument(
        "--num-train", type=int, default=default.num_train, help="images to train the weights on"
    )
    parser.add_argument(
        '--num-held-out', type=int, default=default.num_held_out,
        help='images of the held-out cities, to learn the multipliers on',
    )  # fmt: skip
    parser.add_argument("--num-test", type=int, default=default.num_test, help="test images")
    arguments = parser.parse_args(argv)
    try:
        spec = DemoSpec(
            seed=arguments.seed,
            height=arguments.size,
            num_train=arguments.num_train,
            num_held_out=arguments.num_held_out,
            num_test=arguments.num_test,
        )
        root = make_demo_set(arguments.out, spec)
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"demo data in {root}: {sum(spec.counts.values())} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
