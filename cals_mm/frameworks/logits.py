"""One place that knows where each framework keeps logits and labels.

mmsegmentation's data samples hold the logits at the size of the original image. mmpretrain's keep
only the softmax, whose logarithm is -inf beyond a difference of about 103; there a forward hook
on the head puts the raw scores of each image into the sample, so that metrics and multipliers
read them without a second forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["FIELD", "keep_logits", "logits_and_target"]

FIELD = "logits"
"""Name of the data field that holds the raw scores of one sample, (K,) or (K, ...)."""


def logits_and_target(data_sample: Any) -> tuple[Tensor, Tensor]:
    """Logits and labels of one sample, from a data sample or its dictionary.

    Args:
        data_sample: A data element of mmsegmentation, mmpretrain or :mod:`cals_mm.text`, or the
            dictionary that ``to_dict`` makes of it.

    Returns:
        Logits (K,) or (K, H, W) and labels () or (H, W) int64.

    Raises:
        ValueError: If either is missing, or the head has a single output channel.
    """
    sample = data_sample if isinstance(data_sample, Mapping) else data_sample.to_dict()
    if FIELD in sample:
        logits = sample[FIELD]
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
    if "gt_sem_seg" in sample:
        target = _data(sample["gt_sem_seg"])
        target = target.reshape(target.shape[-2:])
    elif "gt_label" in sample:
        target = sample["gt_label"]
        if target.numel() != 1:
            raise ValueError(
                f"gt_label has {target.numel()} values: multi-label heads have no softmax over "
                "classes, which CALS and calibration errors are defined on"
            )
        target = target.reshape(())
    else:
        raise ValueError(
            f"a data sample holds no label ('gt_sem_seg', 'gt_label'): {sorted(sample)}"
        )
    return logits, target.to(device=logits.device, dtype=torch.int64)


def _data(field: Any) -> Tensor:
    return field["data"] if isinstance(field, Mapping) else field.data


@contextmanager
def keep_logits(model: nn.Module) -> Iterator[None]:
    """Let a classifier's predictions carry the head's raw scores as ``data_sample.logits``.

    Works on a model with a ``head`` whose output is (N, K), or a list of them of which the last
    one predicts; on any other model (mmsegmentation's, say) it does nothing.

    Args:
        model: The model, unwrapped.

    Yields:
        None; the forward hooks are removed at the end.
    """
    head = getattr(model, "head", None)
    if not isinstance(head, nn.Module):
        yield
        return
    scores: list[Tensor] = []

    def remember(module: nn.Module, inputs: Any, output: Any) -> None:
        output = output[-1] if isinstance(output, Sequence) else output
        scores[:] = [output.detach()]

    def attach(module: nn.Module, inputs: Any, output: Any) -> None:
        samples = output if isinstance(output, Sequence) else []
        if scores and len(samples) == len(scores[0]):
            for sample, logits in zip(samples, scores[0], strict=True):
                sample.set_field(logits, FIELD)
        scores.clear()

    handles = [head.register_forward_hook(remember), model.register_forward_hook(attach)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
