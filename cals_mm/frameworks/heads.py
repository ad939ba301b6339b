"""Heads and models that train with other scores than they predict with."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from .reporting import warn
from .training_scores import compare_training_scores

__all__ = ["OTHER_SCORES_IN_TRAINING", "RETRIEVERS", "refuse_other_scores"]

OTHER_SCORES_IN_TRAINING = {
    "ArcFaceClsHead": "trains with 64 times the cosine and an angular margin, and predicts with "
    "the bare cosine",
}
"""By class name, how a head computes scores differently in training and prediction."""

_LABELS = {"target", "targets", "label", "labels", "gt_label", "gt_labels"}
"""Arguments by which a head that changes its scores in training is given the labels."""

RETRIEVERS = {"BaseRetriever", "ImageToImageRetriever"}
"""Models that rank images instead of predicting classes."""


def refuse_other_scores(model: nn.Module, name: str, loader: Any) -> None:
    """Reject models that train with other scores than they predict with.

    A model that is in no table is tried on a training sample. If that is not possible, the log
    warns of a head whose ``forward`` takes labels.

    Args:
        model: The model, unwrapped.
        name: Name of the loss in the model.
        loader: Data loader of the training.

    Raises:
        ValueError: If the model, or the head of the loss, is in one of the tables, or a subclass
            is; or if the scores differ.
    """
    if RETRIEVERS.intersection(_bases(model)):
        raise ValueError(
            f"the model {type(model).__name__} ranks images and predicts no classes; "
            "a classifier or segmentor is needed"
        )
    parts = name.split(".")
    owners = [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts))]
    for head in owners:
        for base in _bases(head):
            if base in OTHER_SCORES_IN_TRAINING:
                raise ValueError(
                    f"the head {type(head).__name__} "
                    f"{OTHER_SCORES_IN_TRAINING[base]}: what the validation teaches would not fit "
                    "the training; take another head, LinearClsHead say"
                )
    same = compare_training_scores(model, name, loader)
    if same is False:
        raise ValueError(
            f"the loss of {type(owners[-1]).__name__} is given other scores than the prediction is "
            "made from (tried on a training sample): what the validation teaches would not fit the "
            "training; let both use the same scores, or take another head, LinearClsHead or "
            "FCNHead say"
        )
    for head in owners if same is None else ():
        if taken := _LABELS.intersection(inspect.signature(head.forward).parameters):
            warn(
                f"the forward of {type(head).__name__} takes the labels ({min(taken)}): if its "
                "scores change with them (an angular margin, say), what the validation teaches "
                "does not fit the training"
            )


def _bases(module: nn.Module) -> list[str]:
    return [base.__name__ for base in type(module).__mro__]
