"""How the time of cals_loss grows with pixels, classes and threads.

    python benchmarks/bench_scaling.py --rounds 7

Time per logit should stay level as pixels or classes grow, and fall with threads.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import torch
from _timing import alternate, median_ratio, milliseconds, table

from cals_mm.functional import cals_loss

BASE = (1, 19, 256, 512)
SHAPES = {
    "pixels": [(1, 19, 64, 128), BASE, (1, 19, 512, 1024), (4, 19, 512, 1024)],
    "classes": [(1, 2, 256, 512), BASE, (1, 150, 128, 256), (1, 1000, 64, 64), (512, 4096)],
}


def step(shape: tuple[int, ...], threads: int) -> Callable[[], None]:
    """Forward and backward on random logits, on so many threads."""
    logits = (torch.randn(shape) * 5).requires_grad_()
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    multipliers, rho = torch.rand(shape[1]), torch.ones(shape[1])

    def run() -> None:
        torch.set_num_threads(threads)
        logits.grad = None
        cals_loss(logits, target, multipliers, rho).backward()

    return run


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds, each about a second")
    args = parser.parse_args()
    threads = torch.get_num_threads()
    rows, level = [], {}
    for name, shapes in SHAPES.items():
        seconds = alternate(
            {str(shape): step(shape, threads) for shape in shapes}, args.rounds, warm_up=1
        )
        for shape in shapes:
            values, base = seconds[str(shape)], seconds[str(BASE)]
            relative = torch.Size(BASE).numel() / torch.Size(shape).numel()
            per_logit = median_ratio(values, base) * relative
            rows.append([name, shape, threads, f"{milliseconds(values):.2f}", f"{per_logit:.2f}"])
            level[name] = max(level.get(name, 0.0), per_logit)
    large, cores = (2, 19, 512, 1024), sorted({1, threads, os.cpu_count() or 1})
    seconds = alternate({str(n): step(large, n) for n in cores}, args.rounds, warm_up=1)
    for n in cores:
        ratio = median_ratio(seconds[str(n)], seconds["1"])
        rows.append(["threads", large, n, f"{milliseconds(seconds[str(n)]):.2f}", f"{ratio:.2f}"])
    table(["varied", "logits", "threads", "median ms", "per logit, of the base"], rows)
    print(
        f"time per logit, of {BASE}: at most {level['pixels']:.2f} over pixels, "
        f"{level['classes']:.2f} over classes; {ratio:.2f} of one thread's time on {cores[-1]}"
    )


if __name__ == "__main__":
    main()
