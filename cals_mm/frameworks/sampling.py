"""Detect samples that a sampler repeats to give all processes equally many."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from mmengine.dataset import DefaultSampler
from mmengine.dist import all_gather_object, get_dist_info
from torch.utils.data import DataLoader, DistributedSampler

__all__ = ["SampleCounter", "is_repeated", "last_is_repeated", "loaders_of"]


def is_repeated(number: int, size: int) -> bool:
    """Whether a sample of an evaluation is a repetition, from this process or another.

    MMEngine's ``DefaultSampler`` distributes samples in turn: number p of process r out of R is
    sample p R + r of the data set. With ``round_up`` it continues from the first sample until all
    processes have equally many. A single process has no repetitions.

    Args:
        number: Number of samples that this process has seen before.
        size: Length of the data set.

    Example:
        >>> [is_repeated(number, size=3) for number in range(4)]  # one process
        [False, False, False, False]
    """
    rank, world_size = get_dist_info()
    return bool(world_size > 1 and number * world_size + rank >= size)


def last_is_repeated(seen: int, size: int, first: Hashable, last: Hashable) -> tuple[bool, int]:
    """Whether the last sample of this process is a repetition, told without the sampler.

    A sampler that fills up gives all processes equally many samples, and repeats those that came
    first. Whatever is distributed otherwise counts as it is. To be called on all processes.

    Args:
        seen: Number of samples that this process has seen.
        size: Length of the data set.
        first: What the first of them is known by; the same for all if that is unknown.
        last: What the last of them is known by.

    Returns:
        The answer, and the number of all other samples beyond ``size``, over all processes.
    """
    _, world_size = get_dist_info()
    if world_size == 1:
        return False, 0
    found = all_gather_object((seen, first, last))
    beyond = max(0, sum(number for number, _, _ in found) - size)
    if not 0 < beyond < world_size or len({number for number, _, _ in found}) > 1:
        return False, beyond
    repetitions = enumerate(found[world_size - beyond :])
    if any(name != found[i % size][1] for i, (_, _, name) in repetitions):
        return False, beyond
    return is_repeated(seen - 1, size), 0


def loaders_of(loop: Any) -> list[DataLoader[Any]]:
    """The data loaders that a loop holds, each once."""
    found: dict[int, DataLoader[Any]] = {}

    def collect(value: Any) -> None:
        if isinstance(value, DataLoader):
            found[id(value)] = value
        elif isinstance(value, (list, tuple)):
            for item in value:
                collect(item)
        elif isinstance(value, dict):
            collect(list(value.values()))

    collect(vars(loop))
    return list(found.values())


class SampleCounter:
    """Tell which samples of successive batches are repetitions, for one loader after another.

    Samples are left out only for samplers that are known to repeat samples.

    Args:
        loaders: The loaders in the order of their batches.
    """

    def __init__(self, loaders: Sequence[DataLoader[Any]]) -> None:
        self._loaders = list(loaders)
        self.restart()

    def restart(self) -> None:
        """Start again with the first loader."""
        self._left: Iterator[DataLoader[Any]] = iter(self._loaders)
        self._next_loader()
        self._advanced = False

    def end_loader(self) -> bool:
        """Say that a loop has seen its current loader to the end.

        Returns:
            Whether loaders are left, for a loop that ends a validation for each of them.
        """
        if not self._advanced:
            self._next_loader()
        self._advanced = False
        return self._loader is not None

    def _next_loader(self) -> None:
        self._advanced = True
        self._seen, self._batches = 0, 0
        self._loader: DataLoader[Any] | None = next(self._left, None)

    def counts(self, size: int) -> list[bool]:
        """For each of the ``size`` samples of the next batch, whether it counts."""
        if self._loader is None or not _fills_up(self._loader):
            result = [True] * size
        else:
            total = len(self._loader.dataset)  # type: ignore[arg-type]
            result = [not is_repeated(self._seen + k, total) for k in range(size)]
        self._seen += size
        self._batches += 1
        if self._loader is not None and self._batches == _length(self._loader):
            self._next_loader()
        return result


def _fills_up(loader: DataLoader[Any]) -> bool:
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    if isinstance(sampler, DistributedSampler):
        return not sampler.drop_last
    return isinstance(sampler, DefaultSampler) and sampler.round_up


def _length(loader: DataLoader[Any]) -> int | None:
    try:
        return len(loader)
    except TypeError:  # the data set has no length
        return None
