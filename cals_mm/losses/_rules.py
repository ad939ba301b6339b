"""From the options of ``CALSLoss`` to the rule that moves its multipliers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cals_mm.core import AdaptiveMargin, AugmentedLagrangian, HeuristicRule, MarginRule

from ._arguments import check_options

__all__ = ["build_rule"]


def build_rule(
    rule: str | Mapping[str, Any],
    num_classes: int,
    margin: float,
    adaptive_margin: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> MarginRule:
    """Rule of the multipliers.

    Args:
        rule: 'augmented_lagrangian', 'heuristic', or dict(type='heuristic', ...) with options of
            :class:`~cals_mm.core.HeuristicRule`.
        num_classes: K.
        margin: Largest admissible logit distance, in logit units; the first, where it adapts.
        adaptive_margin: Options of :class:`~cals_mm.core.AdaptiveMargin`; None: a fixed margin.
        settings: Settings of :class:`~cals_mm.core.AugmentedLagrangian`, at their defaults for
            other rules.

    Raises:
        TypeError: For options that a rule does not have.
        ValueError: For an unknown rule, or a value out of its range.
    """
    given = {"type": rule} if isinstance(rule, str) else dict(rule)
    kind = given.pop("type", None)
    if kind == "augmented_lagrangian":
        if given:
            raise TypeError(
                f"rule='augmented_lagrangian' takes its options beside it: {sorted(given)}"
            )
        if adaptive_margin is not None:
            check_options("adaptive_margin", AdaptiveMargin, adaptive_margin, {"start"})
            adaptive = AdaptiveMargin(margin, **adaptive_margin)
            return AugmentedLagrangian(num_classes, adaptive, **settings)
        return AugmentedLagrangian(num_classes, margin, **settings)
    if kind != "heuristic":
        raise ValueError(f"rule must be 'augmented_lagrangian' or 'heuristic', got {kind!r}")
    if adaptive_margin is not None:
        raise ValueError(
            "adaptive_margin needs rule='augmented_lagrangian': the heuristic compares violations "
            "of one margin"
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
