"""Choose held-out samples of a training set by their names.

The choice uses hashes of the names instead of random numbers, so all processes, runs and machines
agree.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

__all__ = ["choose_held_out", "group_samples"]

_ENOUGH_FOLDERS = 10
"""With at least this many parent folders, whole folders are held out by default."""


def group_samples(
    names: Sequence[str], by: str | None = None, labelled: bool = False
) -> dict[str, str]:
    """Group similar samples; a group is held out as a whole or not at all.

    Args:
        names: Names of the samples, with slashes: paths relative to a common folder.
        by: 'dir' groups by parent folder. Any other text is a regular expression that is searched
            for in the name; its first group, or the whole match, is the name of the group. None
            groups by parent folder if there are at least ten of them and samples have no label
            (folders often are the classes of a classifier); otherwise each sample is its own group.
        labelled: Whether each sample has one label.

    Returns:
        Name -> group.

    Raises:
        ValueError: If the regular expression is invalid or does not match a name.

    Example:
        >>> group_samples(["bonn_1.png", "ulm_1.png"], by="^[a-z]+")
        {'bonn_1.png': 'bonn', 'ulm_1.png': 'ulm'}
    """
    if by is None:
        folders = {os.path.dirname(name) for name in names}
        if labelled or len(folders) < _ENOUGH_FOLDERS:
            return {name: name for name in names}
        by = "dir"
    if by == "dir":
        return {name: os.path.dirname(name) for name in names}
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise ValueError(
            f"hold_out_by={by!r} is neither 'dir' nor a regular expression: {error}"
        ) from None
    groups = {}
    for name in names:
        match = pattern.search(name)
        if match is None:
            raise ValueError(
                f"hold_out_by={by!r} does not match {name!r}: give a regular expression that finds "
                "the group in every path, or 'dir' for its folder"
            )
        groups[name] = match.group(1 if pattern.groups else 0) or ""
    return groups


def choose_held_out(
    groups: Mapping[str, str],
    fraction: float,
    seed: int = 0,
    labels: Mapping[str, int] | None = None,
) -> frozenset[str]:
    """Choose the samples to hold out.

    Args:
        groups: Name -> group of all samples, from :func:`group_samples`.
        fraction: Share of the samples to hold out, in (0, 1); whole groups come close to it.
        seed: Seed of the choice.
        labels: Name -> label, for classifiers. The same share of every class is held out; a group
            belongs to the most frequent class of its samples. Classes with a single group are not
            held out.

    Returns:
        The names held out.

    Raises:
        ValueError: If the fraction is outside (0, 1), nothing could be held out or nothing would be
            left, or only one class would be held out.

    Example:
        >>> names = [f"{city}/{k}.png" for city in "abcde" for k in range(4)]
        >>> sorted(choose_held_out(group_samples(names, by="dir"), fraction=0.2))
        ['c/0.png', 'c/1.png', 'c/2.png', 'c/3.png']
    """
    if not 0 < fraction < 1:
        raise ValueError(f"hold_out must be a fraction between 0 and 1, got {fraction}")
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(groups):
        members[groups[name]].append(name)
    strata: dict[int, list[str]] = defaultdict(list)
    for group, names in members.items():
        counts = Counter(labels[name] for name in names) if labels else Counter([0])
        strata[min(counts, key=lambda label: (-counts[label], label))].append(group)
    chosen = [
        name
        for stratum in strata.values()
        for group in _choose_groups({g: len(members[g]) for g in stratum}, fraction, seed)
        for name in members[group]
    ]
    if not chosen:
        raise ValueError(
            f"the training set has {len(groups)} samples in {len(members)} groups, too few to hold "
            f"out {fraction:g} of them: set val_dataloader to held-out data, or group the samples "
            "otherwise by hold_out_by"
        )
    held_out_labels = {labels[name] for name in chosen} if labels else set()
    if len(held_out_labels) == 1 and len(strata) > 1:
        raise ValueError(
            f"all {len(chosen)} held-out samples are of class {held_out_labels.pop()}: hold out a "
            "larger fraction, or group the samples otherwise by hold_out_by"
        )
    return frozenset(chosen)


def _choose_groups(sizes: Mapping[str, int], fraction: float, seed: int) -> list[str]:
    """Groups, in the order of their hashes, whose size comes closest to the share; never all."""
    wanted, taken, chosen = fraction * sum(sizes.values()), 0, []
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    for group in order:
        if abs(taken + sizes[group] - wanted) < abs(taken - wanted):
            taken += sizes[group]
            chosen.append(group)
    if not chosen and len(sizes) > 1:
        chosen = [min(order, key=lambda group: sizes[group])]
    return chosen if len(chosen) < len(sizes) else chosen[:-1]
