"""The methods to compare on a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from cals_mm.config import suitable_methods

from .tasks import Task

__all__ = ["check_methods"]


def check_methods(root: Path, task: Task, methods: Sequence[str] | None) -> list[str]:
    """Return the requested methods, or all that the task's config can be trained with.

    Args:
        root: Folder with ``configs``.
        task: The task.
        methods: Names; None for all.

    Raises:
        ValueError: If one is not for the task, or is named twice.
    """
    there = suitable_methods(Config.fromfile(root / task.config, import_custom_modules=False))
    for method in methods or ():
        if method not in there:
            raise ValueError(
                f"the task {task.name} has no method {method!r}; it has {', '.join(there)}"
            )
    if methods and len(set(methods)) < len(methods):
        raise ValueError(f"--methods names one twice: {' '.join(methods)}; name each once")
    return list(methods or there)
