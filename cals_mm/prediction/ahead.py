"""Work beside the network, in order and within bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

__all__ = ["ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], depth: int = 4
) -> Iterator[Result]:
    """Apply a function in a pool, and yield the results in the order of the items.

    Items are taken while at most ``depth`` results are waited for, so a stream of any length takes
    the memory of ``depth`` items. Exceptions are raised where their result is due.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as pool:
        ...     list(ahead(pool, abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
