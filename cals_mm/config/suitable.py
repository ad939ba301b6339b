"""Find the methods that a config can be trained with."""

from __future__ import annotations

import warnings

from mmengine.config import Config

from cals_mm.methods import METHODS

from .with_method import with_method

__all__ = ["suitable_methods"]


def suitable_methods(cfg: Config) -> list[str]:
    """Names of the methods that a config can be trained with unchanged, in the order of the table.

    Left out are methods for the other kind of task, and those that need a value which the config
    does not have in its ``method_defaults``.

    Raises:
        ValueError: If there is none; the message gives the reason for the first.
    """
    found, reasons = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about losses that a method would drop
        for name in METHODS:
            try:
                with_method(cfg, name)
            except ValueError as error:
                reasons.append(error)
            else:
                found.append(name)
    if not found:
        raise reasons[0]
    return found
