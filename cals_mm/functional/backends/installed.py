"""Find the optional requirements of the fast backends: the compiled module and Triton."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = ["NATIVE", "constant_while_traced", "has_native", "has_triton", "interprets_triton"]


def constant_while_traced(function: Function) -> Function:
    """Let ``torch.compile`` treat the result of a function as a constant.

    Like ``torch.compiler.assume_constant_result``, which imports the compiler and takes a second or
    more.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def _compiled_module() -> Any:
    try:
        return importlib.import_module(f"{__package__}._native")
    except ImportError:
        return None


NATIVE: Any = _compiled_module()
"""The compiled module, or None if it was not compiled. It takes addresses of real memory."""


@constant_while_traced
def has_native() -> bool:
    """Whether the kernels were compiled at installation; warns once if not."""
    if NATIVE is None:
        _warn_without_native()
        return False
    _warn_without_threads()
    return True


@constant_while_traced
def has_triton() -> bool:
    """Whether Triton is installed; warns once if not."""
    return _find_triton()


@constant_while_traced
def interprets_triton() -> bool:
    """Whether Triton runs on the CPU, by its interpreter."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@lru_cache(maxsize=1)
def _warn_without_native() -> None:
    warnings.warn(
        "the compiled kernel of cals_loss is missing: plain torch takes its place, several times "
        "slower on small batches; install a C compiler and run 'pip install' again to build it",
        stacklevel=2,
    )


@lru_cache(maxsize=1)
def _warn_without_threads() -> None:
    if torch.get_num_threads() > 1 and not NATIVE.shares_threads():
        warnings.warn(
            "torch's OpenMP threads were not found: the compiled kernels of cals_mm run on one "
            "thread; 'python -m cals_mm' tells more",
            stacklevel=2,
        )


@lru_cache(maxsize=1)
def _find_triton() -> bool:
    if importlib.util.find_spec("triton") is not None:
        return True
    warnings.warn(
        "Triton is not installed: cals_loss uses its slower chunked backend; "
        "'pip install triton' brings the fused kernel",
        stacklevel=2,
    )
    return False
