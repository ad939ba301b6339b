"""Batch texts of similar length, so that little time is spent on padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS

__all__ = ["LengthGroupedSampler"]


@DATA_SAMPLERS.register_module()
class LengthGroupedSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler``, with texts of similar length next to each other.

    The order depends only on seed and epoch, so a resumed run continues it. With ``shuffle``, the
    shuffled texts are divided into pools of ``pool`` groups, each pool is sorted by length and
    divided into groups, and the groups are shuffled, so batches change in every epoch. Without
    ``shuffle``, all texts are sorted, the longest first.

    As in ``DefaultSampler``, sample p of process r is at position p x processes + r, and only the
    last positions are repetitions, which metrics and multipliers leave out.

    Args:
        dataset: A data set with ``lengths``.
        group: Texts per group; the batch size over all processes is best.
        pool: Groups per pool.
        **kwargs: ``shuffle``, ``seed`` and ``round_up`` of ``DefaultSampler``.

    Raises:
        ValueError: If ``group`` or ``pool`` is not positive.
        TypeError: If the data set has no ``lengths``.
    """

    def __init__(self, dataset: Any, group: int = 128, pool: int = 32, **kwargs: Any) -> None:
        if group < 1 or pool < 1:
            raise ValueError(f"group is {group} and pool is {pool}: both are at least 1")
        if not hasattr(dataset, "lengths"):
            raise TypeError(
                f"LengthGroupedSampler needs a data set with lengths, {type(dataset).__name__} has "
                "none: use DefaultSampler"
            )
        super().__init__(dataset, **kwargs)
        self.group = group
        self.pool = pool

    def __iter__(self) -> Iterator[int]:
        order = self._order()
        order = np.resize(order, self.total_size)  # repeats from the start
        return iter(order[self.rank :: self.world_size].tolist())

    def _order(self) -> np.ndarray:
        lengths = np.asarray(self.dataset.lengths)
        if not self.shuffle:
            return np.argsort(-lengths, kind="stable")
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(lengths))
        size = self.group * self.pool
        groups = []
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            groups += [pool[i : i + self.group] for i in range(0, len(pool), self.group)]
        # A smaller group stays last, so that the others match the batches.
        whole, rest = groups[: len(order) // self.group], groups[len(order) // self.group :]
        shuffled = [whole[i] for i in generator.permutation(len(whole))]
        return np.concatenate([*shuffled, *rest])
