"""Candidate settings of each method, and the choice between them by held-out figures."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.registry import MODELS

__all__ = ["CRITERION", "DEFAULT", "KNOBS", "Knob", "Setting", "candidates", "choose"]

CRITERION = "calibration/NLL"
"""Held-out figure by which a setting is chosen, the lowest wins.

The negative log-likelihood is a proper score: unlike the ECE it cannot be lowered by predicting
the class frequencies, so it asks for accuracy and calibration at once."""


@dataclass(frozen=True)
class Setting:
    """One setting of a method.

    Attributes:
        name: Name of its folder: ``default`` is the config as it is.
        options: Changes of the config by dotted key.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()


DEFAULT = Setting("default")


@dataclass(frozen=True)
class Knob:
    """The argument of a loss that is tried, and its values in the order of trying.

    Attributes:
        argument: Argument of the loss, with dots where it stands in a dictionary of it.
        values: Values; one that the config has is left out, since it is tried first.
        factors: In place of values: multiples of the config's value.
        owner: Whose signature has the default, where the config gives no value. None: the loss.
    """

    argument: str
    values: tuple[float, ...] = ()
    factors: tuple[float, ...] = ()
    owner: Callable[..., Any] | None = None

    def others(self, configured: float) -> list[float]:
        """Values to try beside the config's."""
        values = [configured * factor for factor in self.factors] + list(self.values)
        return [value for value in values if not math.isclose(value, configured)]


_MARGIN = Knob("margin", factors=(0.75, 1.5, 1.25, 0.5))
_FACTORS = (0.5, 2.0, 0.25, 4.0)
_WEIGHT = Knob("weight", factors=_FACTORS)
KNOBS = {
    "label_smoothing": Knob("label_smoothing", (0.05, 0.1, 0.02, 0.2, 0.01)),
    "focal": Knob("gamma", (3.0, 2.0, 5.0, 1.0, 4.0)),
    "ecp": _WEIGHT,
    "mmce": _WEIGHT,
    "cpc": Knob("exclusion_weight", factors=_FACTORS),
    "adafocal": Knob("rate", factors=_FACTORS),
    "mbls": _MARGIN,
    "acls": _MARGIN,
    "cals": _MARGIN,
    "cals_hr": _MARGIN,
    "cals_sample": _MARGIN,
    "crac": _MARGIN,
}
"""The knob of each method that has one; the others are tried with their config alone."""


def candidates(
    method: str, loss: Mapping[str, Any] | None, loss_key: str, tries: int
) -> list[Setting]:
    """The settings of a method that are tried.

    Args:
        method: Name of the method.
        loss: Its loss as the config has it.
        loss_key: Where the loss stands in the config.
        tries: Settings of every method that has a knob, the config's own among them.

    Raises:
        ValueError: If fewer settings are known than are to be tried, or the config's loss has no
            value for the knob.
    """
    knob = KNOBS.get(method)
    if knob is None or tries == 1:
        return [DEFAULT]
    configured = _value(loss or {}, knob)
    if not isinstance(configured, (int, float)):
        raise ValueError(
            f"the config of {method} has no number as {loss_key}.{knob.argument}, which is to be "
            "tried with several values; write it into the config, or use --tries 1"
        )
    others = knob.others(configured)
    if tries > 1 + len(others):
        raise ValueError(
            f"--tries {tries}, but only {1 + len(others)} settings of {method} are known; use at "
            "most as many"
        )
    settings = [
        Setting(
            f"{knob.argument.split('.')[-1]}={value:g}", ((f"{loss_key}.{knob.argument}", value),)
        )
        for value in others[: tries - 1]
    ]
    return [DEFAULT, *settings]


def _value(loss: Mapping[str, Any], knob: Knob) -> Any:
    """What a knob stands at in a config; None where neither config nor signature says."""
    *path, name = knob.argument.split(".")
    part: Any = loss
    for key in path:
        part = part.get(key) or {}
    if name in part or "type" not in loss:
        return part.get(name)
    owner = knob.owner or MODELS.get(loss["type"])
    parameter = inspect.signature(owner).parameters.get(name)
    return parameter.default if parameter else None


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


def configured_loss(cfg: Mapping[str, Any], loss_key: str) -> Mapping[str, Any] | None:
    """The loss at a dotted key of a config; None where there is none."""
    part: Any = cfg
    for key in loss_key.split("."):
        part = part.get(key) if isinstance(part, Mapping) else None
    return part if isinstance(part, Mapping) else None
