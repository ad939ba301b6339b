"""Heads and models whose training sees other scores than their validation."""

from __future__ import annotations

from torch import nn

__all__ = ["OTHER_SCORES_IN_TRAINING", "RETRIEVERS", "refuse_other_scores"]

OTHER_SCORES_IN_TRAINING = {
    "ArcFaceClsHead": "trains with 64 times the cosine and an angular margin, and predicts with "
    "the bare cosine",
}
"""By class name: what a head does in training that it does not do when it predicts."""

RETRIEVERS = {"BaseRetriever", "ImageToImageRetriever"}
"""Models that rank images and predict no classes."""


def refuse_other_scores(model: nn.Module, name: str) -> None:
    """Refuse to learn from the validation where that would not fit the training.

    Args:
        model: The model, unwrapped.
        name: Name of the loss in it.

    Raises:
        ValueError: If the loss is one of a head, or the model one, of the tables or a subclass.
    """
    if RETRIEVERS.intersection(_bases(model)):
        raise ValueError(
            f"the model is an {type(model).__name__}, which ranks images and predicts no classes; "
            "a classifier or segmentor is needed"
        )
    parts = name.split(".")
    for depth in range(len(parts)):
        head = model.get_submodule(".".join(parts[:depth]))
        for base in _bases(head):
            if base in OTHER_SCORES_IN_TRAINING:
                raise ValueError(
                    f"the head is an {type(head).__name__}, which "
                    f"{OTHER_SCORES_IN_TRAINING[base]}: what the validation teaches would not fit "
                    "the training; take another head, LinearClsHead say"
                )


def _bases(module: nn.Module) -> list[str]:
    return [base.__name__ for base in type(module).__mro__]
