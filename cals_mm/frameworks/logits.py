"""Read logits and labels from the data samples of each framework.

mmsegmentation's data samples hold the logits at the size of the original image. mmpretrain's hold
only the softmax, whose logarithm is -inf for logit distances over about 103;
:func:`~cals_mm.frameworks.keep_logits` adds the logits to them, so that metrics and multipliers
need no second forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .prediction import as_predicted

__all__ = ["FIELD", "logits_and_target", "predicted_logits"]

FIELD = "logits"
"""Name of the data field that holds the logits of one sample, (K,) or (K, ...)."""


def logits_and_target(data_sample: Any, probabilities: bool = False) -> tuple[Tensor, Tensor]:
    """Read logits and labels of one sample, from a data sample or its dictionary.

    The logits belong to the prediction in the same sample: if it was merged from several branches,
    views or models, the logarithm of the predicted probabilities is returned instead of the kept
    logits.

    Args:
        data_sample: A data element of mmsegmentation, mmpretrain or :mod:`cals_mm.text`, or result
            of its ``to_dict``.
        probabilities: Whether the sample holds probabilities instead of logits; they are returned.

    Returns:
        Logits (K,) or (K, H, W) and labels () or (H, W) int64.

    Raises:
        ValueError: If either is missing, their sizes differ, the head has a single output channel,
            or the prediction does not follow from these logits.
    """
    sample = _as_mapping(data_sample)
    logits = _logits(sample)
    target = _target(sample)
    if target.shape != logits.shape[1:]:
        raise ValueError(
            f"labels of shape {tuple(target.shape)} do not fit logits of shape "
            f"{tuple(logits.shape)}: predictions have the size of the original image, so load the "
            "annotations of validation and test behind Resize in the pipeline"
        )
    logits = as_predicted(logits, sample, probabilities)
    return logits, target.to(device=logits.device, dtype=torch.int64)


def predicted_logits(data_sample: Any, probabilities: bool = False) -> Tensor:
    """Read the logits of one sample like :func:`logits_and_target`, where there is no label.

    Returns:
        Logits (K,) or (K, H, W).

    Raises:
        ValueError: If there are none, the head has a single output channel, or the prediction does
            not follow from these logits.
    """
    sample = _as_mapping(data_sample)
    return as_predicted(_logits(sample), sample, probabilities)


def _as_mapping(data_sample: Any) -> Mapping[str, Any]:
    sample: Mapping[str, Any]
    sample = data_sample if isinstance(data_sample, Mapping) else data_sample.to_dict()
    return sample


def _logits(sample: Mapping[str, Any]) -> Tensor:
    if FIELD in sample:
        logits: Tensor = sample[FIELD]
    elif "seg_logits" in sample:
        logits = _data(sample["seg_logits"])
    else:
        raise ValueError(
            f"a data sample holds neither '{FIELD}' nor 'seg_logits' but {sorted(sample)}; "
            "add dict(type='KeepLogitsHook') to custom_hooks for a classifier"
        )
    if logits.shape[0] < 2:
        raise ValueError(
            "logits have 1 channel: calibration over classes needs a softmax head, so set "
            "out_channels=2 instead of a single sigmoid channel"
        )
    return logits


def _target(sample: Mapping[str, Any]) -> Tensor:
    if "gt_sem_seg" in sample:
        target = _data(sample["gt_sem_seg"])
        if target.shape[:-2].numel() != 1:
            raise ValueError(
                f"the label map gt_sem_seg has shape {tuple(target.shape)} but a label is one "
                "number for each pixel: it was read from a colour picture, so convert its colours "
                "to class numbers in a single channel"
            )
        return target.reshape(target.shape[-2:])
    if "gt_label" in sample:
        label: Tensor = sample["gt_label"]
        if label.numel() != 1:
            raise ValueError(
                f"gt_label has {label.numel()} values: multi-label heads have no softmax over "
                "classes, which CALS and calibration errors are defined on"
            )
        return label.reshape(())
    raise ValueError(f"a data sample holds no label ('gt_sem_seg', 'gt_label'): {sorted(sample)}")


def _data(field: Any) -> Tensor:
    data: Tensor = field["data"] if isinstance(field, Mapping) else field.data
    return data
