"""Names of the three splits of every data set."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["SPLITS", "Split", "check_split"]

Split = Literal["train", "val", "test"]
"""Weights are learned on train, multipliers on val; test is for the results."""
SPLITS: tuple[Split, ...] = get_args(Split)


def check_split(split: str) -> None:
    """Check the name of a split.

    Raises:
        ValueError: If ``split`` is none of the three.

    Example:
        >>> check_split("fit")
        Traceback (most recent call last):
        ValueError: split is 'fit': choose from train, val, test
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose from {', '.join(SPLITS)}")
