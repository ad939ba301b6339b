"""Names of the data sets of mmsegmentation and mmpretrain, without importing either."""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from pathlib import Path

__all__ = ["reads_files_only"]

# These make their folder themselves.
DOWNLOADING = frozenset({"CIFAR10", "CIFAR100", "FashionMNIST", "MNIST", "OneDLDataset"})


def reads_files_only(name: str) -> bool:
    """Whether a class is a data set of a framework that reads what is there and downloads nothing.

    Args:
        name: Name of the class, without scope.
    """
    return name not in DOWNLOADING and name in _exported()


@lru_cache(maxsize=1)
def _exported() -> frozenset[str]:
    """Names in the packages of the data sets, from their source: an import takes seconds."""
    names: set[str] = set()
    for framework in ("mmseg", "mmpretrain"):
        spec = importlib.util.find_spec(framework)
        if spec is None or spec.origin is None:
            continue
        source = Path(spec.origin).parent / "datasets" / "__init__.py"
        for node in ast.walk(ast.parse(source.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                names.update(alias.name for alias in node.names)
    return frozenset(names)
