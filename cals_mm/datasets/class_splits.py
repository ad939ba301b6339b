"""Choose held-out images and long tails of classification data sets.

All functions depend only on labels and a seed, so all processes and runs agree.
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["long_tail_counts", "long_tail_indices", "stratified_held_out"]


def stratified_held_out(labels: Sequence[int], fraction: float, seed: int = 0) -> np.ndarray:
    """Hold out the same share of every class.

    Args:
        labels: Labels of all images, in a fixed order.
        fraction: Share of each class to hold out, fraction in (0, 1).
        seed: Seed of the permutation within each class.

    Returns:
        Whether each image is held out, (N,) bool. At least one image of each class with two or more
        is held out, and never all of them.

    Raises:
        ValueError: If ``fraction`` is not in (0, 1).

    Example:
        >>> int(stratified_held_out([0, 0, 0, 0, 1, 1], 0.5).sum())
        3
    """
    if not 0 < fraction < 1:
        raise ValueError(f"held-out fraction is {fraction}: give a number between 0 and 1")
    array = np.asarray(labels)
    held_out = np.zeros(len(array), dtype=bool)
    for label in np.unique(array):
        members = np.flatnonzero(array == label)
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        # A generator per class, so that other classes do not affect this one.
        order = np.random.default_rng([seed, int(label)]).permutation(len(members))
        held_out[members[order[:count]]] = True
    return held_out


def long_tail_counts(largest: int, num_classes: int, ratio: float) -> np.ndarray:
    """Compute an exponential long tail: ``largest * ratio ** (-k / (K - 1))`` images of class k.

    Args:
        largest: Images of class 0, the most frequent one.
        num_classes: K.
        ratio: Images of class 0 for each image of class K - 1, at least 1.

    Returns:
        Images per class, (K,) int64, descending, at least 1.

    Raises:
        ValueError: If ``ratio`` is less than 1.

    Reference:
        Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.

    Example:
        >>> long_tail_counts(100, 3, 25)
        array([100,  20,   4])
    """
    if ratio < 1:
        raise ValueError(
            f"long-tail ratio is {ratio}: give the images of the most frequent class divided by "
            "those of the rarest, at least 1"
        )
    exponent = np.arange(num_classes) / max(num_classes - 1, 1)
    # The small summand keeps 100 / 25 from becoming 3.
    return np.maximum((largest * float(ratio) ** -exponent + 1e-9).astype(np.int64), 1)


def long_tail_indices(
    labels: Sequence[int] | np.ndarray, num_classes: int, ratio: float, seed: int = 0
) -> np.ndarray:
    """Choose images so that their classes follow an exponential long tail.

    Class 0 remains the largest, as usual for CIFAR-LT. With the same seed, a larger ratio keeps a
    subset of the images that a smaller one keeps.

    Args:
        labels: Labels of all images.
        num_classes: K.
        ratio: Images of class 0 for each image of class K - 1.
        seed: Seed of the permutation within each class.

    Returns:
        Indices of the images to keep, ascending, int64.
    """
    array = np.asarray(labels)
    present = np.bincount(array, minlength=num_classes)
    kept = []
    for label, count in enumerate(long_tail_counts(int(present.max()), num_classes, ratio)):
        members = np.flatnonzero(array == label)
        order = np.random.default_rng([seed, label]).permutation(len(members))
        kept.append(members[order[:count]])
    return np.sort(np.concatenate(kept))
