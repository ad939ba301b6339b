"""Time and peak memory of cals_loss, forward and backward, against plain cross entropy.

    python benchmarks/bench_loss.py --rounds 15

Competitors: ``F.cross_entropy`` alone; with the penalty added by tensor algebra under autograd,
as the authors' code adds it; and mmsegmentation's CrossEntropyLoss, where that is installed. The
loss is asked for its parts too, as it is in training. Peak memory is the high-water mark of the
resident memory of a fresh process above what it had when the inputs stood.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from _timing import alternate, extra_mib, in_fresh_process, median_ratio, milliseconds, table

from cals_mm.functional import cals_loss, margin_violation, penalty_lagrangian

SHAPES = ((2, 19, 512, 1024), (8, 150, 128, 128), (256, 1000))
MARGIN = 10.0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def competitors(shape: tuple[int, ...]) -> dict[str, Callable[[], object]]:
    """Forward and backward by each of them, on the same logits."""
    generator = torch.Generator().manual_seed(0)
    num_classes = shape[1]
    logits = torch.randn(shape, generator=generator).mul_(5).to(DEVICE).requires_grad_()
    labels_shape = (shape[0], *shape[2:])
    target = torch.randint(0, num_classes, labels_shape, generator=generator).to(DEVICE)
    multipliers = torch.rand(num_classes, generator=generator).to(DEVICE)
    rho = torch.ones_like(multipliers)

    def backward(loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def step() -> None:
            logits.grad = None
            loss().backward()

        return step

    def cross_entropy() -> torch.Tensor:
        return F.cross_entropy(logits, target)

    def with_penalty() -> torch.Tensor:
        violation = margin_violation(logits, MARGIN)
        penalty, _ = penalty_lagrangian(violation, multipliers, rho, dim=1)
        return F.cross_entropy(logits, target) + penalty.mean()

    def fused() -> torch.Tensor:
        return cals_loss(logits, target, multipliers, rho, MARGIN, return_parts=True)[0]

    works = {
        "cals_loss": backward(fused),
        "cross_entropy": backward(cross_entropy),
        "with_penalty": backward(with_penalty),
    }
    try:
        from mmseg.models.losses import CrossEntropyLoss
    except ImportError:
        return works
    mmseg_loss = CrossEntropyLoss()
    works["mmseg"] = backward(lambda: mmseg_loss(logits, target))
    return works


def extra_memory(work: str, shape: tuple[int, ...]) -> float:
    """MiB above the inputs that one forward and backward takes; to be run in a fresh process."""
    competitors((1, 8, 200, 200))[work]()  # what the code itself and its threads need, once
    return extra_mib(competitors(shape)[work])


def copy_share(shape: tuple[int, ...], seconds: float) -> float:
    """Share of the device's copy bandwidth, counting one read and one write of the logits."""
    source = torch.randn(shape, device=DEVICE)
    target = torch.empty_like(source)
    copying = alternate({"copy": lambda: target.copy_(source)}, rounds=50)["copy"]
    return milliseconds(copying) / 1000 / seconds


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the large shapes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--memory-of", nargs="+", metavar="NAME SIZE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        name, *sizes = args.memory_of
        print(extra_memory(name, tuple(map(int, sizes))))
        return

    rows, summary = [], []
    for shape in SHAPES:
        works = competitors(shape)
        large = torch.Size(shape).numel() > 1e6
        seconds = alternate(works, args.rounds if large else 20 * args.rounds)
        ours = seconds["cals_loss"]
        ratios = {name: median_ratio(ours, other) for name, other in seconds.items()}
        memory = {}
        if DEVICE == "cpu" and large:
            sizes = tuple(map(str, shape))
            for name in ("cals_loss", "cross_entropy"):
                memory[name] = in_fresh_process(__file__, "--memory-of", name, *sizes)
        for name, values in seconds.items():
            mib = f"{memory[name]:.0f}" if name in memory else "-"
            rows.append([shape, name, f"{milliseconds(values):.3f}", f"{ratios[name]:.2f}", mib])
        line = f"{shape}: {ratios['cross_entropy']:.2f} of cross_entropy, "
        line += f"{ratios['with_penalty']:.2f} of cross_entropy with penalty"
        if memory:
            line += f", memory {memory['cals_loss'] / memory['cross_entropy']:.2f}"
        if DEVICE == "cuda":
            line += f", {copy_share(shape, milliseconds(ours) / 1000):.0%} of the copy bandwidth"
        summary.append(line)
    table(["logits", "loss", "median ms", "cals_loss / it", "extra MiB"], rows)
    print("cals_loss " + "; ".join(summary))


if __name__ == "__main__":
    main()
