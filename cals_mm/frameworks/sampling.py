"""Samples that a sampler repeats, so that every process gets as many."""

from __future__ import annotations

from mmengine.dist import get_dist_info

__all__ = ["is_repeated"]


def is_repeated(number: int, size: int) -> bool:
    """Whether a sample of an evaluation was there before, on this process or another.

    MMEngine's ``DefaultSampler`` deals samples out in turn: number p of process r out of R is
    sample p R + r of the data set. With ``round_up`` it goes on from the beginning until all
    processes have as many.

    Args:
        number: How many samples this process has seen before this one.
        size: Length of the data set.

    Example:
        >>> [is_repeated(number, size=3) for number in range(3)]  # one process
        [False, False, False]
    """
    rank, world_size = get_dist_info()
    return bool(number * world_size + rank >= size)
