"""Time of the multiplier statistics of one validation image, against what its mIoU costs.

    python benchmarks/bench_multiplier_update.py --rounds 9

Both read the logits (19, 1024, 2048) of one image: ``dual_sums`` for the multipliers; argmax over
the classes and one bincount of (label, prediction) for mIoU.
"""

from __future__ import annotations

import argparse

import torch
from _timing import alternate, extra_mib, in_fresh_process, median_ratio, milliseconds, table

from cals_mm.functional._dual import dual_sums

SHAPE = (1, 19, 1024, 2048)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels and a mask of the pixels that count: all but a band and a few scattered."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(SHAPE, generator=generator).mul_(5)
    target = torch.randint(0, SHAPE[1], (1, *SHAPE[2:]), generator=generator)
    mask = torch.rand(target.shape, generator=generator) > 1e-4
    mask[:, -100:] = False
    return logits, target, mask


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds, each about a second")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logits, target, mask = inputs()
    num_classes = SHAPE[1]
    multipliers, rho = torch.rand(num_classes), torch.ones(num_classes)
    if args.memory:
        small, some = logits[..., :200, :200].contiguous(), mask[..., :200, :200]
        dual_sums(small, multipliers, rho, 10.0, mask=some)  # what the code itself needs, once
        print(extra_mib(lambda: dual_sums(logits, multipliers, rho, 10.0, mask=mask)))
        return

    def mean_iou() -> None:
        pairs = target * num_classes + logits.argmax(1)
        torch.bincount(pairs.view(-1), minlength=num_classes**2)

    seconds = alternate(
        {
            "dual_sums": lambda: dual_sums(logits, multipliers, rho, 10.0),
            "dual_sums, masked": lambda: dual_sums(logits, multipliers, rho, 10.0, mask=mask),
            "argmax + bincount": mean_iou,
        },
        args.rounds,
    )
    base = seconds["argmax + bincount"]
    ratios = {name: median_ratio(values, base) for name, values in seconds.items()}
    rows = [[n, f"{milliseconds(v):.1f}", f"{ratios[n]:.2f}"] for n, v in seconds.items()]
    table(["work on (19, 1024, 2048)", "median ms", "of argmax + bincount"], rows)
    memory = in_fresh_process(__file__, "--memory")
    print(
        f"dual_sums takes {ratios['dual_sums']:.2f} of argmax + bincount, "
        f"{ratios['dual_sums, masked']:.2f} with a mask, and {memory:.0f} MiB above the logits' "
        f"{logits.numel() * 4 / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
