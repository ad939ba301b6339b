"""The backends of the loss, and the choice among them.

* ``eager``: plain tensor algebra under autograd, the reference. Any device.
* ``native``: one compiled kernel. CPU, where a compiler was at hand when the package was installed.
* ``chunked``: one pass over chunks that stay in the cache, in plain torch. What neither kernel
  covers, and where they are missing.
* ``triton``: one kernel. CUDA (and, for tests, the CPU through Triton's interpreter).
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from functools import lru_cache

import torch
from torch import Tensor

from .native import covers, has_native, kernels, warn_without_native

__all__ = ["BACKENDS", "choose_backend", "has_triton"]

BACKENDS = ("auto", "eager", "chunked", "native", "triton")


def choose_backend(logits: Tensor, target: Tensor, kind: str, sample_weight: Tensor | None) -> str:
    """Name of the backend for a loss: 'eager', 'chunked', 'native' or 'triton'.

    The environment variable ``CALS_MM_BACKEND`` overrides the choice. What the compiled kernel does
    not cover (half precision, target probabilities, the penalties P2 and P3), or the Triton
    kernel (float64, target probabilities), goes to the chunked backend even then.

    Raises:
        ValueError: If ``CALS_MM_BACKEND`` names no backend, or none for this device.
    """
    variable = kernels().variable if has_native() else os.environ.get
    asked = variable("CALS_MM_BACKEND") or "auto"
    if asked not in BACKENDS:
        raise ValueError(f"CALS_MM_BACKEND={asked!r}: choose one of {', '.join(BACKENDS)}")
    # Only autograd knows these gradients, and an empty batch has nothing to fuse.
    weighted = sample_weight is not None and sample_weight.requires_grad
    if logits.numel() == 0 or target.requires_grad or weighted:
        return "eager"
    if asked in ("eager", "chunked"):
        return asked
    if logits.is_cpu and asked in ("auto", "native"):
        return _on_cpu(asked, covered=covers(logits, target, kind))
    if asked == "native":
        raise ValueError("CALS_MM_BACKEND='native' needs logits on the CPU")
    if asked == "auto" and not logits.is_cuda:
        return "eager"
    if logits.is_cpu and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            "CALS_MM_BACKEND='triton' needs logits on a CUDA device (or Triton's interpreter, "
            "TRITON_INTERPRET=1, which is for tests)"
        )
    covered = logits.dtype != torch.float64 and not target.is_floating_point()
    return "triton" if covered and has_triton() else "chunked"


def _on_cpu(asked: str, *, covered: bool) -> str:
    if has_native():
        return "native" if covered else "chunked"
    if asked == "native":
        raise ValueError(
            "CALS_MM_BACKEND='native', but the kernel was not compiled: install a C compiler and "
            "run 'pip install' again"
        )
    warn_without_native()
    return "chunked"


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
