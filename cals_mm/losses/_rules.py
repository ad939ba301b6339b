"""Build the rule that updates the multipliers of a ``CALSLoss``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from cals_mm.core import AugmentedLagrangian, AutoMargin, HeuristicRule, MarginRule

from ._arguments import check_options

__all__ = ["build_rule"]


def build_rule(
    rule: str | Mapping[str, Any],
    num_classes: int,
    margin: float | Literal["auto"],
    settings: Mapping[str, Any],
) -> MarginRule:
    """Build the rule for the multipliers.

    Args:
        rule: 'augmented_lagrangian', 'heuristic', or dict(type='heuristic', ...) with options of
            :class:`~cals_mm.core.HeuristicRule`.
        num_classes: K.
        margin: Largest admissible logit distance, in logit units; or 'auto' for an
            :class:`~cals_mm.core.AutoMargin`.
        settings: Settings of :class:`~cals_mm.core.AugmentedLagrangian`; other rules accept only
            their defaults.

    Raises:
        TypeError: For options that the rule does not have.
        ValueError: For an unknown rule or an invalid value.
    """
    if isinstance(margin, str) and margin != "auto":
        raise ValueError(f"margin must be a number of logit units or 'auto', got {margin!r}")
    given = {"type": rule} if isinstance(rule, str) else dict(rule)
    name = given.pop("type", None)
    if name == "augmented_lagrangian":
        if given:
            raise TypeError(
                f"rule='augmented_lagrangian' takes its options beside it: {sorted(given)}"
            )
        found = AutoMargin() if margin == "auto" else margin
        return AugmentedLagrangian(num_classes, found, **settings)
    if name != "heuristic":
        raise ValueError(f"rule must be 'augmented_lagrangian' or 'heuristic', got {name!r}")
    if margin == "auto":
        raise ValueError(
            "margin='auto' needs rule='augmented_lagrangian': the heuristic compares violations "
            "of one margin; give a number"
        )
    defaults = inspect.signature(AugmentedLagrangian).parameters
    foreign = sorted(name for name, value in settings.items() if value != defaults[name].default)
    if foreign:
        raise TypeError(
            f"{', '.join(foreign)} belong to rule='augmented_lagrangian': give the options of the "
            "heuristic as rule=dict(type='heuristic', ...)"
        )
    check_options("rule='heuristic'", HeuristicRule, given, {"num_classes", "margin"})
    return HeuristicRule(num_classes, margin, **given)
