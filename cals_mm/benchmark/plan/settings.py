"""Candidate settings of each method, and the choice among them by held-out figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from cals_mm.config import find_site, type_name
from cals_mm.methods import Knob, Method

__all__ = ["CRITERION", "DEFAULT", "Setting", "candidates", "choose"]

CRITERION = "calibration/NLL"
"""Held-out figure by which a setting is chosen; the lowest wins.

The negative log-likelihood is a proper score: unlike the ECE it cannot be lowered by predicting
the class frequencies, so it asks for accuracy and calibration at once."""


@dataclass(frozen=True)
class Setting:
    """One setting of a method.

    Attributes:
        name: Name of its folder; ``default`` is the method as in the task's config.
        options: Arguments of the loss.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()


DEFAULT = Setting("default")


def candidates(cfg: Config, method: Method, tries: int) -> list[Setting]:
    """The settings to try of a method.

    Args:
        cfg: A config that trains with the method.
        method: The method.
        tries: Number of settings of each method that has a knob, including the config's own.

    Raises:
        ValueError: If fewer settings are known.
    """
    knob = method.knob
    if knob is None or tries == 1:
        return [DEFAULT]
    own = _configured(cfg, method, knob)
    known = float(method.defaults[knob.argument])
    # A margin that adjusts itself is one setting; the others are those of the loss's default.
    others = knob.others(own) if isinstance(own, (int, float)) else [known, *knob.others(known)]
    if tries > 1 + len(others):
        raise ValueError(
            f"--tries {tries}, but only {1 + len(others)} settings of {method.name} are known; "
            "use at most as many"
        )
    return [
        DEFAULT,
        *(
            Setting(f"{knob.argument}={value:g}", ((knob.argument, value),))
            for value in others[: tries - 1]
        ),
    ]


def _configured(cfg: Config, method: Method, knob: Knob) -> Any:
    """Value of a knob in the config, or its default in the loss; a number or a word."""
    assert method.loss is not None
    site = find_site(cfg.model)
    losses = site.head[site.key]
    losses = losses if isinstance(losses, (list, tuple)) else [losses]
    own: Any = next(loss for loss in losses if type_name(loss) == method.loss.__name__)
    return own.get(knob.argument, method.defaults.get(knob.argument))


def choose(held_out: Mapping[Setting, Mapping[str, float]]) -> Setting:
    """Choose the setting with the best held-out figures.

    Args:
        held_out: Figures on the held-out split (not the test split) for each setting, in the order
            in which they were tried.

    Returns:
        The setting with the lowest :data:`CRITERION`, the first of equal ones.

    Raises:
        ValueError: If no setting has a finite figure.
    """
    finite = {
        setting: figures[CRITERION]
        for setting, figures in held_out.items()
        if math.isfinite(figures.get(CRITERION, math.nan))
    }
    if not finite:
        raise ValueError(f"no setting has a finite held-out {CRITERION}; look into the logs")
    return min(finite, key=finite.__getitem__)
