"""Logits and labels of single predictions in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from cals_mm import files
from cals_mm.frameworks.logits import logits_and_target

from ._report import check_out_file

__all__ = ["PredictionFile"]


@METRICS.register_module()
class PredictionFile(BaseMetric):
    """Write the logits and the label of every sample to a file.

    This is for data sets with one label per sample; label maps would fill the disk. ``torch.load``
    of the file returns ``{'logits': (N, K) float32, 'target': (N,) int64}`` in the order of the
    sampler: that of the data set, unless it sorts, as ``LengthGroupedSampler`` of text configs
    does. No metric values are reported.

    Args:
        out_file: The file, rewritten after every evaluation.
        collect_device: ``'cpu'`` or ``'gpu'``, where the results of several processes are
            collected.
        prefix: Without effect.

    Raises:
        ValueError: While processing, if samples are label maps.
    """

    default_prefix = "predictions"

    def __init__(
        self, out_file: str, collect_device: str = "cpu", prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_file = check_out_file("PredictionFile", out_file)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Add a batch of predictions.

        Args:
            data_batch: Unused.
            data_samples: Data samples with logits and labels, as dictionaries.
        """
        for sample in data_samples:
            logits, target = logits_and_target(sample)
            if logits.ndim != 1:
                raise ValueError(
                    f"PredictionFile keeps single predictions, but the logits have the shape "
                    f"{tuple(logits.shape)}; use CalibrationMetric, which keeps sums"
                )
            self.results.append({"logits": logits.float().cpu(), "target": int(target)})

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file.

        Args:
            results: Of all processes, in the order of the sampler.

        Returns:
            Nothing to report.
        """
        content = {
            "logits": torch.stack([result["logits"] for result in results]),
            "target": torch.tensor([result["target"] for result in results]),
        }
        with files.writing(self.out_file) as stream:
            torch.save(content, stream)
        return {}
