"""Checks before a config is changed."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config

from cals_mm.methods import METHODS, Method

from .loss_site import type_name

__all__ = ["check_complete", "check_options", "refuse_stateful", "task_values"]

TASK_VALUES = ("margin", "num_samples")


def check_options(
    method: Method, hook: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> None:
    """Reject options that the method does not have, and invalid margins.

    Raises:
        TypeError: If an option is not an argument of the loss, or hook arguments are given for a
            method without a hook.
        ValueError: If the margin is a number that is not positive and finite.
    """
    if hook and not method.hook:
        raise TypeError(f"the method {method.name} has no hook, got hook={dict(hook)}")
    if method.loss is None:
        if options:
            raise TypeError(
                f"the method {method.name} leaves the loss as it is and has no options, "
                f"got {', '.join(options)}"
            )
        return
    parameters = inspect.signature(method.loss).parameters
    known = set(parameters) - {"num_classes"}
    unknown = sorted(set(options) - known)
    # A loss that passes on further arguments checks them itself when it is built.
    if unknown and all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
        raise TypeError(
            f"{method.loss.__name__} has no argument {unknown[0]!r}; it has "
            f"{', '.join(sorted(known))}"
        )
    margin = options.get("margin")
    if isinstance(margin, (int, float)) and not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be a positive number, got {margin}")


def check_complete(method: Method, options: Mapping[str, Any]) -> None:
    """Check that all arguments without a default are given.

    Raises:
        ValueError: Naming the argument.
    """
    assert method.loss is not None
    for name, parameter in inspect.signature(method.loss).parameters.items():
        needed = (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        )
        if needed and name not in options:
            raise ValueError(
                f"the method {method.name} needs {name}; give {name}=..., or write "
                f"method_defaults = dict({name}=...) into the config"
            )


def task_values(cfg: Config) -> dict[str, Any]:
    """Values that the config provides for its task: its ``method_defaults``, if any.

    Raises:
        ValueError: If it contains other keys.
    """
    values = dict(cfg.get("method_defaults") or {})
    for key in values:
        if key not in TASK_VALUES:
            raise ValueError(
                f"method_defaults holds {key!r}; it may hold {' and '.join(TASK_VALUES)}"
            )
    return values


def refuse_stateful(cfg: Config) -> None:
    """Reject a config that already has a loss with state, or a hook for one.

    Raises:
        ValueError: If there is one; the message names it.
    """
    stateful = [method for method in METHODS.values() if method.hook and method.loss]
    losses = {method.loss.__name__ for method in stateful if method.loss}
    hooks = {method.hook for method in stateful}
    names = list(_types(cfg))
    # The loss tells the method; one hook serves several.
    found = next((name for types in (losses, hooks) for name in names if name in types), None)
    if found:
        what = "CALS" if found.startswith("CALS") else "a method"
        raise ValueError(
            f"the config has {what} already ({found}); train it as it is, or give the config "
            "that it was made from"
        )


def _types(value: Any) -> Iterable[str]:
    """Type names of all components inside a config."""
    if isinstance(value, (dict, Config)):
        if isinstance(value, dict):
            yield type_name(value)
        for _, item in value.items():
            yield from _types(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _types(item)
