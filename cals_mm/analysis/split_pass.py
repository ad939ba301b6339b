"""Run a trained model over a split, for the sums of all diagrams and maps of a few images."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from mmengine.runner import Runner
from torch import Tensor

from cals_mm.frameworks import ignored_label
from cals_mm.functional import CalibrationStatistics, calibration_statistics
from cals_mm.functional._regions import boundary_pixels
from cals_mm.runs import Prediction, split_predictions

__all__ = ["ImageMaps", "SplitStatistics", "run_split"]


@dataclass
class ImageMaps:
    """Maps of one image."""

    name: str
    """File name, or index in the split."""
    image: np.ndarray
    """(H', W', 3) uint8 RGB, at the size of the network's input."""
    label: np.ndarray
    """(H, W) int64."""
    prediction: np.ndarray
    """(H, W) int64."""
    confidence: np.ndarray
    """(H, W) float32, fractions."""


@dataclass
class SplitStatistics:
    """Sums over the valid samples of a split."""

    overall: CalibrationStatistics
    boundary: CalibrationStatistics | None = None
    """Pixels whose 3 x 3 neighbourhood contains another class; None for classifiers."""
    interior: CalibrationStatistics | None = None
    """All other valid pixels."""
    maps: list[ImageMaps] = field(default_factory=list)


@torch.no_grad()
def run_split(runner: Runner, num_maps: int = 4, num_bins: int = 15) -> SplitStatistics:
    """Run the test split once.

    Args:
        runner: Runner with the trained model in evaluation mode.
        num_maps: Number of images whose maps are kept, evenly spaced over the split.
        num_bins: Number of bins in the diagrams.

    Returns:
        The sums; maps only for segmentation.

    Raises:
        ValueError: If the split is empty.
    """
    loader = runner.test_dataloader
    ignored = ignored_label(runner.model)
    size = len(loader.dataset)
    chosen = {round(i * (size - 1) / max(num_maps - 1, 1)) for i in range(min(num_maps, size))}
    parts: dict[str, CalibrationStatistics] = {}
    maps = []
    for index, seen in enumerate(split_predictions(runner.model, loader, "test split")):
        for name, labels in _regions(seen.target, ignored).items():
            sums = calibration_statistics(
                seen.logits[None], labels[None], num_bins=num_bins, ignore_index=ignored
            )
            parts[name] = parts[name].merge_(sums) if name in parts else sums
        if seen.target.ndim == 2 and index in chosen:
            maps.append(_maps(seen, index))
    return SplitStatistics(maps=maps, **parts)


def _regions(target: Tensor, ignored: int) -> dict[str, Tensor]:
    """Labels of all samples and, for label maps, of boundary and interior separately."""
    if target.ndim == 0:
        return {"overall": target}
    boundary = boundary_pixels(target[None], ignore_index=ignored)[0]
    return {
        "overall": target,
        "boundary": target.masked_fill(~boundary, ignored),
        "interior": target.masked_fill(boundary, ignored),
    }


def _maps(seen: Prediction, index: int) -> ImageMaps:
    confidence, prediction = seen.logits.float().softmax(0).max(0)
    path = seen.sample.metainfo.get("img_path")
    inputs = seen.inputs
    image = inputs.flip(0) if len(inputs) == 3 else inputs[:1].expand(3, -1, -1)  # BGR to RGB
    return ImageMaps(
        str(path).rsplit("/", 1)[-1] if path else f"image {index}",
        image.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).cpu().numpy(),
        seen.target.cpu().numpy(),
        prediction.cpu().numpy(),
        confidence.cpu().numpy(),
    )
