"""Calibration sums of single images in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from cals_mm import files
from cals_mm.frameworks.logits import logits_and_target
from cals_mm.functional.image_sums import image_sums

from ._report import check_out_file

__all__ = ["ImageSumsFile"]


@METRICS.register_module()
class ImageSumsFile(BaseMetric):
    """Write the calibration sums of every image to a file.

    This is for label maps, whose single logits would fill the disk. The sums of an image are of
    size O(classes x bins); they allow to draw test sets of other images, and so to see the noise of
    the figures. ``torch.load`` of the file returns the stacked results of
    :func:`~cals_mm.functional.image_sums`, in the order of the data set. No values are reported.

    Args:
        out_file: The file, rewritten after every evaluation.
        num_bins: Number of equal-width bins of the confidence.
        ignore_index: Label to ignore. 'auto' means 255. None ignores no label.
        temperature: Number > 0 that divides the logits.
        collect_device: ``'cpu'`` or ``'gpu'``, where the results of several processes are
            collected.
        prefix: Without effect.

    Raises:
        ValueError: While processing, if samples have a single label.
    """

    default_prefix = "image_sums"

    def __init__(
        self,
        out_file: str,
        num_bins: int = 15,
        ignore_index: int | Literal["auto"] | None = "auto",
        temperature: float = 1.0,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_file = check_out_file("ImageSumsFile", out_file)
        self.num_bins = num_bins
        self.ignore_index = 255 if ignore_index == "auto" else ignore_index
        self.temperature = temperature

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Add a batch of predictions.

        Args:
            data_batch: Unused.
            data_samples: Data samples with logits and label maps, as dictionaries.
        """
        for sample in data_samples:
            logits, target = logits_and_target(sample)
            if logits.ndim == 1:
                raise ValueError(
                    "ImageSumsFile keeps sums of label maps, but there is one label a sample; use "
                    "PredictionFile, which keeps the logits"
                )
            self.results.append(
                image_sums(
                    logits / self.temperature,
                    target,
                    num_bins=self.num_bins,
                    ignore_index=self.ignore_index,
                )
            )

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file.

        Args:
            results: Of all processes, in the order of the data set.

        Returns:
            Nothing to report.
        """
        content = {name: torch.stack([sums[name] for sums in results]) for name in results[0]}
        with files.writing(self.out_file) as stream:
            torch.save(content, stream)
        return {}
