"""Time and peak memory of every registered loss, forward and backward, against cross entropy.

    python benchmarks/bench_baselines.py --rounds 7

The losses are called as a segmentation head calls them, with their default settings, on logits
of (2, 19, 512, 1024) of which a tenth is void. Labels are blocks of 16 pixels. Peak memory is the
high-water mark of the resident memory of a fresh process above what it had when the inputs stood,
in units of the logits; the gradient is one of them.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable

import torch
import torch.nn.functional as F
from _timing import alternate, extra_mib, in_fresh_process, median_ratio, milliseconds, table
from mmengine.registry import MODELS

from cals_mm.methods import METHODS

SHAPE = (2, 19, 512, 1024)
BLOCK = 16
VOID = 255
PLAIN = "F.cross_entropy"


def names() -> list[str]:
    """Losses of the methods for segmentation."""
    methods = (method for method in METHODS.values() if method.only != "classification")
    return sorted({method.loss.__name__ for method in methods if method.loss})


def work(name: str, shape: tuple[int, ...] = SHAPE) -> Callable[[], object]:
    """Forward and backward of one loss, always on the same logits."""
    generator = torch.Generator().manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    logits = torch.randn(shape, generator=generator).mul_(5).to(device).requires_grad_()
    blocks = (shape[0], -(-shape[2] // BLOCK), -(-shape[3] // BLOCK))
    target = torch.randint(0, shape[1], blocks, generator=generator)
    target = target.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
    target = target[:, : shape[2], : shape[3]].contiguous().to(device)
    target[:, : shape[2] // 10] = VOID
    if name == PLAIN:
        loss = F.cross_entropy
    else:
        kind = MODELS.get(name)
        takes_classes = "num_classes" in inspect.signature(kind).parameters
        loss = kind(**({"num_classes": shape[1]} if takes_classes else {})).to(device)

    def step() -> None:
        logits.grad = None
        loss(logits, target, ignore_index=VOID).backward()

    return step


def extra_memory(name: str) -> float:
    """Peak memory in units of the logits; to be run in a fresh process."""
    work(name, (1, 8, 100, 100))()  # what the code itself and its threads need, once
    return extra_mib(work(name)) / (torch.Size(SHAPE).numel() * 4 / 2**20)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of all losses in turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--losses", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--memory-of", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(extra_memory(args.memory_of))
        return

    seconds = alternate({name: work(name) for name in (PLAIN, *args.losses)}, args.rounds)
    rows = []
    for name, values in seconds.items():
        ratio = median_ratio(values, seconds[PLAIN])
        memory = "-"
        if not torch.cuda.is_available():
            memory = f"{in_fresh_process(__file__, '--memory-of', name):.1f}"
        rows.append([name, f"{milliseconds(values):.0f}", f"{ratio:.2f}", memory])
    table(["loss", "median ms", "time / CE", "extra memory / logits"], rows)


if __name__ == "__main__":
    main()
