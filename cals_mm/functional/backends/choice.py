"""Which backend computes something: the first of a list that can, or the one that was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch

from . import installed

__all__ = ["BACKENDS", "Backend", "asked_backend", "choose"]

BACKENDS = ("auto", "eager", "chunked", "native", "triton")
"""What ``CALS_MM_BACKEND`` may be; after 'auto' from the slowest to the fastest."""


class Backend(Protocol):
    """One way to compute something; stateless."""

    name: str
    """One of :data:`BACKENDS`."""

    def covers(self, problem: Any) -> bool:
        """Whether it computes such a problem; the last of a list covers all."""

    @property
    def run(self) -> Callable[..., Any]:
        """Compute a problem, given first. All of a list give the same, but for rounding."""


Chosen = TypeVar("Chosen", bound=Backend)


def choose(backends: Sequence[Chosen], problem: Any, device: torch.device) -> Chosen:
    """The fastest of the backends that covers the problem.

    ``CALS_MM_BACKEND`` names the fastest that may be chosen. So where the one that it names does
    not cover the problem, or does not exist for it, the next slower one takes its place.

    Args:
        backends: Those for this device, from the fastest to the slowest, which covers everything.
        problem: What is to be computed.
        device: Where it lies.

    Raises:
        ValueError: If ``CALS_MM_BACKEND`` names no backend, or none for this device.
    """
    asked = asked_backend()
    if asked != "auto":
        _refuse(asked, device)
    fastest = BACKENDS.index(asked) or len(BACKENDS)
    for backend in backends[:-1]:
        if BACKENDS.index(backend.name) <= fastest and backend.covers(problem):
            return backend
    return backends[-1]


@installed.constant_while_traced
def asked_backend() -> str:
    """``CALS_MM_BACKEND``, checked; ``torch.compile`` keeps what it is while it compiles.

    Raises:
        ValueError: If there is no such backend.
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
