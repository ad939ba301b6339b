"""Choose the backend: the first of a list that covers a problem."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from . import installed

__all__ = ["BACKENDS", "Backend", "asked_backend", "choose", "may_choose"]

BACKENDS = ("auto", "eager", "chunked", "native", "triton")
"""Values of ``CALS_MM_BACKEND``; those after 'auto' go from slowest to fastest."""


class Backend(Protocol):
    """One way to compute a problem; stateless."""

    name: str
    """One of :data:`BACKENDS`."""

    def covers(self, problem: Any) -> bool:
        """Whether it can compute the problem; the last backend of a list covers all."""

    @property
    def run(self) -> Callable[..., Any]:
        """Function that computes a problem, its first argument; equal up to rounding in a list."""


Chosen = TypeVar("Chosen", bound=Backend)


def choose(backends: Sequence[Chosen], problem: Any, device: torch.device) -> Chosen:
    """Choose the fastest backend that covers the problem.

    ``CALS_MM_BACKEND`` names the fastest that may be chosen. If that backend does not exist or does
    not cover the problem, the next slower one is used.

    Args:
        backends: Backends for this device, from fastest to slowest; the slowest covers everything.
        problem: The problem to compute.
        device: Device of the problem.

    Raises:
        ValueError: If ``CALS_MM_BACKEND`` is not a backend, or not one for this device.
    """
    asked = asked_backend()
    if asked != "auto":
        _refuse(asked, device)
    for backend in backends:
        if _slower(backend.name, asked) and backend.covers(problem):
            return backend
    return backends[-1]


def may_choose(name: str, device: torch.device) -> bool:
    """Whether ``CALS_MM_BACKEND`` lets a backend be chosen.

    Args:
        name: One of :data:`BACKENDS`.
        device: Device of the problem.

    Raises:
        ValueError: As :func:`choose`.
    """
    asked = asked_backend()
    if asked == "auto":
        return True
    _refuse(asked, device)
    return _slower(name, asked)


def _slower(name: str, asked: str) -> bool:
    return asked == "auto" or BACKENDS.index(name) <= BACKENDS.index(asked)


@installed.constant_while_traced
def asked_backend() -> str:
    """Read and check ``CALS_MM_BACKEND``; ``torch.compile`` uses its value at compile time.

    Raises:
        ValueError: For an unknown backend.
    """
    variable = os.environ.get if installed.NATIVE is None else installed.NATIVE.variable
    asked = variable("CALS_MM_BACKEND") or "auto"
    if asked not in BACKENDS:
        raise ValueError(f"CALS_MM_BACKEND={asked!r}: choose one of {', '.join(BACKENDS)}")
    return asked


def _refuse(asked: str, device: torch.device) -> None:
    if asked == "native" and device.type != "cpu":
        raise ValueError("CALS_MM_BACKEND='native' needs logits on the CPU")
    if asked == "native" and installed.NATIVE is None:
        raise ValueError(
            "CALS_MM_BACKEND='native', but the kernel was not compiled: install a C compiler and "
            "run 'pip install' again"
        )
    if asked == "triton" and device.type != "cuda" and not installed.interprets_triton():
        raise ValueError(
            "CALS_MM_BACKEND='triton' needs logits on a CUDA device (or Triton's interpreter, "
            "TRITON_INTERPRET=1, which is for tests)"
        )
