"""The backends of the loss, and the choice among them.

* ``eager``: plain tensor algebra under autograd, the reference. Any device.
* ``chunked``: one pass over chunks that stay in the cache. CPU, and where Triton is missing.
* ``triton``: one kernel. CUDA (and, for tests, the CPU through Triton's interpreter).
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from functools import lru_cache

import torch

from .problem import LossProblem

__all__ = ["BACKENDS", "choose_backend", "has_triton"]

BACKENDS = ("auto", "eager", "chunked", "triton")


def choose_backend(problem: LossProblem) -> str:
    """Name of the backend for a problem: 'eager', 'chunked' or 'triton'.

    The environment variable ``CALS_MM_BACKEND`` overrides the choice. What the Triton kernel does
    not cover (float64, target probabilities) goes to the chunked backend even then.

    Raises:
        ValueError: If ``CALS_MM_BACKEND`` names no backend, or none for this device.
    """
    asked = os.environ.get("CALS_MM_BACKEND", "auto")
    if asked not in BACKENDS:
        raise ValueError(f"CALS_MM_BACKEND={asked!r}: choose one of {', '.join(BACKENDS)}")
    # Only autograd knows these gradients, and an empty batch has nothing to fuse.
    others = (problem.target, problem.sample_weight)
    if problem.logits.numel() == 0 or any(x is not None and x.requires_grad for x in others):
        return "eager"
    device = problem.logits.device.type
    if asked in ("eager", "chunked"):
        return asked
    if asked == "auto" and device == "cpu":
        return "chunked"
    if asked == "auto" and device != "cuda":
        return "eager"
    if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            "CALS_MM_BACKEND='triton' needs logits on a CUDA device (or Triton's interpreter, "
            "TRITON_INTERPRET=1, which is for tests)"
        )
    covered = problem.logits.dtype != torch.float64 and not problem.soft
    return "triton" if covered and has_triton() else "chunked"


@lru_cache(maxsize=1)
def has_triton() -> bool:
    """Whether Triton is installed; says so once where it is not."""
    if importlib.util.find_spec("triton") is not None:
        return True
    warnings.warn(
        "Triton is not installed: cals_loss uses its slower chunked backend; "
        "'pip install triton' brings the fused kernel",
        stacklevel=2,
    )
    return False
