"""Time and memory of all calibration metrics together, against other libraries' ECE alone.

    python benchmarks/bench_metrics.py --rounds 5

Ours: ECE, adaptive and classwise ECE, MCE, NLL, Brier, accuracy and confidence in one pass. Against
torchmetrics' multiclass ECE (all its defaults but 15 bins) and netcal's, which takes probabilities;
and against ECE, adaptive and classwise ECE as loops over classes and bins, the usual way, on a
share of the classes and scaled up.
"""

from __future__ import annotations

import argparse
import warnings
from itertools import pairwise

import torch
from _timing import alternate, extra_mib, in_fresh_process, median_ratio, milliseconds, table
from torch import Tensor

from cals_mm.functional import (
    CalibrationStatistics,
    calibration_statistics,
    calibration_values,
)

BINS = 15
SAMPLES = (50_000, 1000)
IMAGE = (1, 19, 512, 1024)
VOID = 255
LOOPED_CLASSES = 5


def inputs(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits and labels, the label's logit raised; a twentieth of an image's pixels are void."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape, generator=generator)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    logits.scatter_add_(1, target.unsqueeze(1), torch.full_like(logits[:, :1], 4.0))
    if len(shape) > 2:
        target[torch.rand(target.shape, generator=generator) < 0.05] = VOID
    return logits, target


def ours(
    batches: list[tuple[Tensor, Tensor]], num_classes: int, ignore_index: int = -100
) -> Tensor:
    """All metrics over some batches."""
    total = CalibrationStatistics.zeros(num_classes, BINS)
    for logits, target in batches:
        total.merge_(
            calibration_statistics(logits, target, num_bins=BINS, ignore_index=ignore_index)
        )
    return calibration_values(total)


def torchmetrics_ece(
    batches: list[tuple[Tensor, Tensor]], num_classes: int, ignore_index: int | None = None
) -> Tensor:
    """Torchmetrics' ECE over some batches."""
    from torchmetrics.classification import MulticlassCalibrationError

    metric = MulticlassCalibrationError(num_classes, n_bins=BINS, ignore_index=ignore_index)
    for logits, target in batches:
        metric.update(logits, target)
    return metric.compute()


def netcal_ece(logits: Tensor, target: Tensor) -> float:
    """Netcal's ECE, from logits."""
    from netcal.metrics import ECE

    return ECE(BINS).measure(logits.softmax(1).numpy(), target.numpy())


def looped_top_label(logits: Tensor, target: Tensor) -> float:
    """ECE and adaptive ECE with a loop over bins."""
    confidence, prediction = logits.softmax(1).max(1)
    correct = prediction.eq(target).float()
    ranks = torch.linspace(0, len(target) - 1, BINS + 1).long()
    total = 0.0
    for edges in (torch.linspace(0, 1, BINS + 1), confidence.sort().values[ranks]):
        total += _loop_over_bins(confidence, correct, edges)
    return total


def looped_classwise(probability: Tensor, target: Tensor) -> float:
    """Classwise ECE of the first few classes with loops over classes and bins."""
    edges = torch.linspace(0, 1, BINS + 1)
    return sum(
        _loop_over_bins(probability[:, k], target.eq(k).float(), edges)
        for k in range(LOOPED_CLASSES)
    )


def _loop_over_bins(confidence: Tensor, correct: Tensor, edges: Tensor) -> float:
    error = 0.0
    for low, high in pairwise(edges):
        inside = confidence.gt(low) & confidence.le(high)
        share = inside.float().mean()
        if share > 0:
            error += float((confidence[inside].mean() - correct[inside].mean()).abs() * share)
    return error


def time_samples(rounds: int) -> dict[str, list[float]]:
    """Seconds of each work on 50,000 samples of 1,000 classes."""
    logits, target = inputs(*SAMPLES)
    probability = logits.softmax(1)
    seconds = alternate(
        {
            "all metrics": lambda: ours([(logits, target)], SAMPLES[1]),
            "torchmetrics ECE": lambda: torchmetrics_ece([(logits, target)], SAMPLES[1]),
            "netcal ECE": lambda: netcal_ece(logits, target),
            "loops, top label": lambda: looped_top_label(logits, target),
            "loops, classwise": lambda: looped_classwise(probability, target),
        },
        rounds,
        warm_up=1,
    )
    top, classwise = seconds.pop("loops, top label"), seconds.pop("loops, classwise")
    scale = SAMPLES[1] / LOOPED_CLASSES
    name = f"loops, from {LOOPED_CLASSES} classes"
    seconds[name] = [a + scale * b for a, b in zip(top, classwise, strict=True)]
    return seconds


def time_images(rounds: int, images: int) -> dict[str, list[float]]:
    """Seconds of each work on some images, two different ones in turn."""
    different = [inputs(*IMAGE, seed=seed) for seed in range(2)]
    batches = [different[i % 2] for i in range(images)]
    return alternate(
        {
            "all metrics": lambda: ours(batches, IMAGE[1], VOID),
            "torchmetrics ECE": lambda: torchmetrics_ece(batches, IMAGE[1], VOID),
        },
        rounds,
        warm_up=1,
    )


def memory_of_images(count: int) -> None:
    """Print how many MiB the metrics of some images take at most above the logits."""
    image = inputs(*IMAGE)
    ours([image], IMAGE[1], VOID)
    print(extra_mib(lambda: ours([image] * count, IMAGE[1], VOID)))


def main() -> None:
    """Measure, and print a table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each about ten seconds")
    parser.add_argument("--images", type=int, default=20, help="images of the segmentation case")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    if args.memory:
        memory_of_images(args.memory)
        return

    times = {"50,000 x 1,000": time_samples(args.rounds)}
    times[f"{args.images} x (19, 512, 1024)"] = time_images(args.rounds, args.images)
    rows, ratios = [], []
    for work, seconds in times.items():
        for name, values_ in seconds.items():
            ratios.append(median_ratio(seconds["all metrics"], values_))
            rows.append([work, name, f"{milliseconds(values_):.0f}", f"{ratios[-1]:.4f}"])
    table(["logits", "work", "median ms", "all metrics / this"], rows)
    few, many = (in_fresh_process(__file__, "--memory", str(n)) for n in (2, args.images))
    print(
        f"all metrics take {ratios[1]:.2f} of torchmetrics' ECE, {ratios[2]:.2f} of netcal's and "
        f"{ratios[3]:.4f} of the loops for 50,000 x 1,000 logits; {ratios[5]:.2f} of torchmetrics' "
        f"for {args.images} images, with {few:.0f} MiB above the logits for 2 images and "
        f"{many:.0f} MiB for {args.images}"
    )


if __name__ == "__main__":
    main()
