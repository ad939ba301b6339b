"""Data of reliability diagrams and class tables, from the sums of one pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._calibration_bins import CalibrationStatistics, bin_edges
from .calibration import classwise_calibration_error

__all__ = ["ClassCalibration", "ReliabilityCurve", "class_calibration", "reliability_curve"]


class ReliabilityCurve(NamedTuple):
    """Data of a reliability diagram, per confidence bin."""

    edges: Tensor
    """Edges of the bins, (bins + 1,) float64."""
    samples: Tensor
    """Samples, (bins,) int64."""
    confidence: Tensor
    """Mean confidence, (bins,) float64; NaN in empty bins."""
    accuracy: Tensor
    """Share of correct predictions, (bins,) float64; NaN in empty bins."""


class ClassCalibration(NamedTuple):
    """Calibration of each class, (K,); NaN for classes without samples."""

    samples: Tensor
    """Samples with this label, int64."""
    accuracy: Tensor
    """Share of them that are predicted correctly."""
    gap: Tensor
    """Mean probability of this class minus its frequency, over samples where that probability
    exceeds 1/2, so that the class is predicted; > 0 is over-confident."""
    error: Tensor
    """Expected calibration error of this class's probability (one against the rest)."""


def reliability_curve(statistics: CalibrationStatistics) -> ReliabilityCurve:
    """Compute accuracy and mean confidence per bin for a reliability diagram."""
    count = statistics.bin_count
    device = count.device
    return ReliabilityCurve(
        bin_edges(statistics.num_bins, torch.float64, device),
        count,
        statistics.bin_confidence / count,
        statistics.bin_correct / count.double(),
    )


def class_calibration(statistics: CalibrationStatistics) -> ClassCalibration:
    """Compute accuracy, signed gap and calibration error of each class."""
    count = statistics.class_positive.sum(1)
    sure = slice((statistics.num_bins + 1) // 2, None)  # the bins from 1/2 on
    difference = (statistics.class_probability - statistics.class_positive)[:, sure].sum(1)
    return ClassCalibration(
        count,
        statistics.class_correct / count.double(),
        difference / statistics.class_count[:, sure].sum(1),
        classwise_calibration_error(statistics, reduction="none"),
    )
