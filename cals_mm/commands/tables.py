"""Render the tables of the documentation from the stored results: ``make tables``.

    python tools/tables.py
    python tools/tables.py --check

The results are benchmarks/results/*.json, which tools/benchmark.py --store writes. Pages mark where
a table belongs; cals_mm/benchmark/reporting/pages.py says how.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cals_mm import files
from cals_mm.benchmark.reporting import STORED, render

ROOT = Path(__file__).resolve().parents[2]
"""Root of the checkout, with the pages."""

PAGES = ("README.md", *sorted(str(f.relative_to(ROOT)) for f in (ROOT / "docs").glob("*.md")))


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a page would change"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    changed = []
    for name in PAGES:
        page = (ROOT / name).read_text("utf-8")
        rendered = render(page, ROOT / STORED)
        if rendered != page:
            changed.append(name)
            if not args.check:
                files.write_text(ROOT / name, rendered)
    if changed and args.check:
        print(f"error: not as rendered: {', '.join(changed)}; run `make tables`", file=sys.stderr)
        sys.exit(1)
    print(f"rendered: {', '.join(changed) or 'nothing has changed'}")
