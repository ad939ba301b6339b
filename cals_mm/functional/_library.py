"""The library of this package's torch operators, and how to define one.

An operator is opaque to tracers such as ``torch.compile``, ``torch.export`` or ``FakeTensorMode``:
they see its schema and the shapes of its results, not its code. So that code may read values and
pass addresses to the compiled module, which only ever sees real memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["LIBRARY", "define_operator", "is_compiling", "is_real"]

LIBRARY = torch.library.Library("cals_mm", "DEF")
"""Where all operators are registered, as ``torch.ops.cals_mm.*``."""

_HAS_FAKES = hasattr(torch.library, "register_fake")
"""Torch before 2.4 runs the implementation for meta tensors where later ones run the fake one."""

is_compiling: Callable[[], bool] = (
    torch.compiler.is_compiling
    if hasattr(torch.compiler, "is_compiling")
    else torch._utils.is_compiling  # its name before torch 2.3
)
"""Whether ``torch.compile`` or ``torch.export`` traces the program."""


def define_operator(
    schema: str,
    run: Callable[..., Any] | dict[str, Callable[..., Any]],
    fake: Callable[..., Any],
    autograd: Callable[..., Any] | None = None,
) -> Any:
    """Define an operator of :data:`LIBRARY`.

    Implementations are registered directly, because ``torch.library.custom_op`` would make a call
    about three times as expensive.

    Args:
        schema: ``name(arguments) -> results`` in torch's schema language.
        run: Computes the results from real tensors, on any device; or one function for each
            dispatch key, 'CPU' or 'CUDA'. No result may share memory with an argument.
        fake: Returns results of the same shapes, dtypes and strides, with any content, without
            reading values.
        autograd: Records the derivative; called instead of the operator when a graph may be
            recorded, e.g. ``apply`` of an ``autograd.Function``. None means that the operator has
            no derivative.

    Returns:
        The operator's default overload.
    """
    name = schema.split("(", 1)[0]
    if _HAS_FAKES:
        LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    else:
        LIBRARY.define(schema)
    implementations = run if isinstance(run, dict) else {"CompositeExplicitAutograd": run}
    for key, implementation in implementations.items():
        LIBRARY.impl(name, implementation, key)
    if _HAS_FAKES:
        torch.library.register_fake(f"{LIBRARY.ns}::{name}", fake, lib=LIBRARY)
    else:
        LIBRARY.impl(name, fake, "Meta")
    if autograd is not None:
        LIBRARY.impl(name, autograd, "Autograd")
    return getattr(getattr(torch.ops, LIBRARY.ns), name).default


_REAL = {torch.Tensor, torch.nn.Parameter, bool, float, int, str, type(None)}


def is_real(arguments: tuple[Any, ...]) -> bool:
    """Whether an operator's own code may run on the arguments directly, without a dispatch.

    A dispatch costs a small call several percent. It changes nothing if no tensor is of a subclass,
    as fake tensors are, and if no mode intercepts operators.
    """
    return _REAL.issuperset(map(type, arguments)) and torch._C._len_torch_dispatch_stack() == 0
