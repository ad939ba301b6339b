"""Choose the images of a training set that are held out for the multipliers.

Multipliers are learned on images that are neither trained nor tested on. Each rule depends only on
the file names, so all processes and runs agree.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

__all__ = ["central_held_out", "evenly_spaced", "keep_split", "random_held_out"]


def random_held_out(names: Sequence[str], count: int, seed: int = 0) -> frozenset[str]:
    """Hold out single images at random, for data sets of independent images.

    Args:
        names: Names of all images; their order does not matter.
        count: Number of images to hold out.
        seed: Seed of the permutation of the sorted names.

    Returns:
        The names held out.

    Raises:
        ValueError: If ``count`` would leave one of the two parts empty.

    Example:
        >>> sorted(random_held_out(['a', 'b', 'c', 'd', 'e'], count=2))
        ['c', 'e']
    """
    if not 0 < count < len(names):
        raise ValueError(
            f"cannot hold out {count} of {len(names)} images: give a number from 1 to "
            f"{len(names) - 1}"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    ordered = sorted(names)
    return frozenset(ordered[i] for i in order[:count])


def central_held_out(
    names: Sequence[str], fraction: float, sequence_of: Callable[[str], str]
) -> frozenset[str]:
    """Hold out the central frames of every video sequence.

    Neighbouring frames of a video are nearly equal, so random frames would leak. A block of each
    sequence touches the rest at two places only, and a central one shows places between those
    trained on, rather than only the beginning of a drive.

    Args:
        names: Names of all frames; in sorted order, those of a sequence are in temporal order.
        fraction: Share of each sequence to hold out, fraction in (0, 1).
        sequence_of: Returns the sequence of a name.

    Returns:
        The names held out, at least one of each sequence with two or more frames.

    Raises:
        ValueError: If ``fraction`` is not in (0, 1).

    Example:
        >>> names = ['a_1', 'a_2', 'a_3', 'a_4', 'b_1', 'b_2']
        >>> sorted(central_held_out(names, 0.5, lambda name: name[0]))
        ['a_2', 'a_3', 'b_1']
    """
    if not 0 < fraction < 1:
        raise ValueError(f"held-out fraction is {fraction}: give a number between 0 and 1")
    sequences: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        sequences[sequence_of(name)].append(name)
    held_out: set[str] = set()
    for frames in sequences.values():
        count = min(max(1, round(fraction * len(frames))), len(frames) - 1)
        start = (len(frames) - count) // 2
        held_out.update(frames[start : start + count])
    return frozenset(held_out)


def keep_split(
    names: Sequence[str], held_out: frozenset[str], split: Literal["train", "val"]
) -> list[str]:
    """Select the held-out images as val, or the others as train.

    Args:
        names: Names of all images.
        held_out: Names that are held out.
        split: ``'train'`` or ``'val'``.

    Returns:
        The names of the split, in their order.
    """
    return [name for name in names if (name in held_out) == (split == "val")]


def evenly_spaced(names: Sequence[str], count: int) -> list[str]:
    """Select ``count`` evenly spaced names, for experiments with few images.

    Args:
        names: Names, sorted so that neighbours are similar.
        count: Number of names to keep, at least 1; all if there are fewer.

    Returns:
        The names kept, in their order.

    Example:
        >>> evenly_spaced(['a', 'b', 'c', 'd', 'e', 'f'], 3)
        ['a', 'c', 'e']
    """
    if count >= len(names):
        return list(names)
    return [names[i * len(names) // count] for i in range(count)]
