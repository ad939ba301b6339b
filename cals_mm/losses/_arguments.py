"""Checks of arguments that several losses share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = [
    "check_not_negative",
    "check_options",
    "check_settings",
    "class_weight_tensor",
    "takes_settings_of",
]

T = TypeVar("T")


def check_not_negative(name: str, value: float) -> float:
    """Return ``value`` as a float if it is finite and not negative.

    Raises:
        ValueError: If it is negative or not finite.
    """
    if isinstance(value, bool) or not 0 <= float(value) < float("inf"):
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")
    return float(value)


def class_weight_tensor(class_weight: Sequence[float] | None) -> Tensor | None:
    """Class weights as a float32 tensor (K,), for a buffer."""
    return None if class_weight is None else torch.tensor(class_weight, dtype=torch.float)


def takes_settings_of(solver: type, *given: str) -> Callable[[type[T]], type[T]]:
    """List the settings in the signature of a class that takes ``**settings``.

    Args:
        solver: The class that the settings are passed to.
        given: Arguments of that class that are not settings.

    Returns:
        A class decorator.
    """
    extra = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(solver).parameters.items()
        if name not in given
    ]

    def decorate(cls: type[T]) -> type[T]:
        own = [
            parameter
            for parameter in inspect.signature(cls).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        cls.__signature__ = inspect.Signature([*own, *extra])  # type: ignore[attr-defined]
        return cls

    return decorate


def check_settings(cls: type, settings: Mapping[str, Any]) -> None:
    """Check that a class decorated with :func:`takes_settings_of` has all these settings.

    Raises:
        TypeError: If it lacks one of them.
    """
    known = inspect.signature(cls).parameters
    for name in settings:
        if name not in known:
            raise TypeError(
                f"{cls.__name__} got an unexpected keyword argument {name!r}; it has "
                f"{', '.join(sorted(known))}"
            )


def check_options(
    name: str, cls: type, options: Mapping[str, Any], given: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return the options given as a dict, if a class accepts them all.

    Args:
        name: Name of the argument, for the message.
        cls: The class that the options are for.
        options: The options by name.
        given: Arguments of the class that are not options.

    Raises:
        TypeError: For an unknown option.
    """
    known = set(inspect.signature(cls).parameters) - set(given)
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(f"{name} has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return options
