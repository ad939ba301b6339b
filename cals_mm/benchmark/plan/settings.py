"""Candidate settings of each method, and the choice between them by held-out figures."""

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
"""Held-out figure by which a setting is chosen, the lowest wins.

The negative log-likelihood is a proper score: unlike the ECE it cannot be lowered by predicting
the class frequencies, so it asks for accuracy and calibration at once."""


@dataclass(frozen=True)
class Setting:
    """One setting of a method.

    Attributes:
        name: Name of its folder: ``default`` is the method as the task's config has it.
        options: Arguments of the loss.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()


DEFAULT = Setting("default")


def candidates(cfg: Config, method: Method, tries: int) -> list[Setting]:
    """The settings of a method that are tried.

    Args:
        cfg: A config that trains with the method.
        method: The method.
        tries: Settings of every method that has a knob, the config's own among them.

    Raises:
        ValueError: If fewer settings are known than are to be tried.
    """
    knob = method.knob
    if knob is None or tries == 1:
        return [DEFAULT]
    others = knob.others(_configured(cfg, method, knob))
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


def _configured(cfg: Config, method: Method, knob: Knob) -> float:
    """What a knob stands at, by the config or by the signature of the loss."""
    assert method.loss is not None
    site = find_site(cfg.model)
    losses = site.head[site.key]
    losses = losses if isinstance(losses, (list, tuple)) else [losses]
    own: Any = next(loss for loss in losses if type_name(loss) == method.loss.__name__)
    value: float = own.get(knob.argument, method.defaults.get(knob.argument))
    return value


def choose(held_out: Mapping[Setting, Mapping[str, float]]) -> Setting:
    """The setting with the best held-out figures.

    Args:
        held_out: For each setting, in the order of trying, its figures on the held-out split.
            Figures of the test split are not taken.

    Returns:
        The one with the lowest :data:`CRITERION`; of equal ones the first that was tried.

    Raises:
        ValueError: If there is none with a finite figure.
    """
    finite = {
        setting: figures[CRITERION]
        for setting, figures in held_out.items()
        if math.isfinite(figures.get(CRITERION, math.nan))
    }
    if not finite:
        raise ValueError(f"no setting has a finite held-out {CRITERION}; look into the logs")
    return min(finite, key=finite.__getitem__)
