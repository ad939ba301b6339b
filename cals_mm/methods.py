"""The table of methods: the loss of each, the values it needs, and the settings worth trying.

All code that iterates over methods reads :data:`METHODS`: ``cals_mm.with_method``, ``tools/train.py
--method``, the benchmark and the tests. A new method is one more entry.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from .losses import (
    ACLSLoss,
    AdaFocalLoss,
    AvUCLoss,
    BrierLoss,
    CALSLoss,
    CRaCLoss,
    EntropyPenaltyLoss,
    FLSDLoss,
    FrameworkLoss,
    MbLSLoss,
    MDCALoss,
    MMCELoss,
    NACLLoss,
    PairwiseConstraintLoss,
    SampleCALSLoss,
    SmoothedCrossEntropyLoss,
    SoftmaxFocalLoss,
    SVLSLoss,
)

__all__ = ["METHODS", "REFERENCE", "Knob", "Method", "find_method"]

REFERENCE = "ce"
"""Name of the method that the others are compared with."""


@dataclass(frozen=True)
class Knob:
    """An argument of a loss that is worth tuning, with values in the order in which to try them.

    Attributes:
        argument: Argument of the loss.
        values: Values; the config's own is left out, since it is tried first.
        factors: Multiples of the config's value, instead of values.
    """

    argument: str
    values: tuple[float, ...] = ()
    factors: tuple[float, ...] = ()

    def others(self, configured: float) -> list[float]:
        """Values to try besides the config's."""
        values = [configured * factor for factor in self.factors] + list(self.values)
        return [value for value in values if not math.isclose(value, configured)]


@dataclass(frozen=True)
class Method:
    """How one method trains the head that makes the prediction.

    Attributes:
        name: Name on the command line and of folders.
        title: Title in reports.
        loss: Class of the loss; None keeps the config's loss.
        arguments: Arguments of the loss that define the method. All others keep the defaults of its
            signature.
        takes: Arguments taken from the config: ``'num_classes'`` from the head, ``'margin'`` and
            ``'num_samples'`` from its ``method_defaults``, if any.
        only: Kind of task that the method is for. None means both.
        knob: The argument worth tuning, or None.
    """

    name: str
    title: str
    loss: type[nn.Module] | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    takes: tuple[Literal["num_classes", "margin", "num_samples"], ...] = ()
    only: Literal["segmentation", "classification"] | None = None
    knob: Knob | None = None

    @property
    def hook(self) -> str | None:
        """Type of the hook that updates the state of the loss; None if it has no state."""
        return getattr(self.loss, "driven_by", None)

    @property
    def defaults(self) -> dict[str, Any]:
        """Default values of the loss's arguments."""
        parameters = inspect.signature(self.loss).parameters if self.loss else {}
        return {name: p.default for name, p in parameters.items() if p.default is not p.empty}

    @property
    def resizes(self) -> bool:
        """Whether the loss can be computed without resized logits."""
        if self.loss is None or not issubclass(self.loss, FrameworkLoss):
            return False
        return self.loss.resized is not FrameworkLoss.resized

    @property
    def extends(self) -> bool:
        """Whether the loss can be added to another loss instead of replacing it."""
        return "base_loss" in self.defaults


_FACTORS = (0.5, 2.0, 0.25, 4.0)
_WEIGHT = Knob("weight", factors=_FACTORS)
_MARGIN = Knob("margin", factors=(0.75, 1.5, 1.25, 0.5))

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(REFERENCE, "cross entropy", None),
        Method(
            "label_smoothing",
            "label smoothing",
            SmoothedCrossEntropyLoss,
            knob=Knob("label_smoothing", (0.05, 0.02, 0.1, 0.01, 0.2)),
        ),
        Method(
            "focal", "focal loss", SoftmaxFocalLoss, knob=Knob("gamma", (3.0, 2.0, 1.0, 5.0, 4.0))
        ),
        Method("flsd", "sample-dependent focal loss, FLSD-53", FLSDLoss),
        Method("adafocal", "AdaFocal", AdaFocalLoss, knob=Knob("rate", factors=_FACTORS)),
        Method("ecp", "entropy penalty", EntropyPenaltyLoss, knob=_WEIGHT),
        Method("mmce", "MMCE", MMCELoss, knob=_WEIGHT),
        Method("brier", "Brier score", BrierLoss),
        Method(
            "cpc",
            "pairwise constraints",
            PairwiseConstraintLoss,
            knob=Knob("exclusion_weight", factors=_FACTORS),
        ),
        Method("mbls", "margin-based label smoothing", MbLSLoss, takes=("margin",), knob=_MARGIN),
        Method("acls", "ACLS", ACLSLoss, takes=("margin",), knob=_MARGIN),
        Method(
            "crac",
            "class- and region-adaptive constraints",
            CRaCLoss,
            takes=("num_classes",),
            only="segmentation",
            knob=_MARGIN,
        ),
        Method("nacl", "neighbour-aware calibration", NACLLoss, only="segmentation", knob=_WEIGHT),
        Method(
            "svls",
            "spatially varying label smoothing",
            SVLSLoss,
            only="segmentation",
            knob=Knob("sigma", factors=(2.0, 0.5)),
        ),
        Method("avuc", "accuracy versus uncertainty", AvUCLoss, knob=_WEIGHT),
        Method("mdca", "MDCA", MDCALoss, knob=_WEIGHT),
        Method("cals", "CALS", CALSLoss, takes=("num_classes", "margin"), knob=_MARGIN),
        Method(
            "cals_hr",
            "CALS by the heuristic rule",
            CALSLoss,
            {"rule": "heuristic"},
            takes=("num_classes", "margin"),
            knob=_MARGIN,
        ),
        Method(
            "cals_auto",
            "CALS, automatic margin",
            CALSLoss,
            {"margin": "auto"},
            takes=("num_classes",),
        ),
        Method(
            "cals_sample",
            "CALS with multipliers of each sample",
            SampleCALSLoss,
            takes=("num_classes", "num_samples", "margin"),
            only="classification",
            knob=_MARGIN,
        ),
    )
}
"""All methods by name; the reference comes first."""


def find_method(name: str) -> Method:
    """Look up a method by its name.

    Raises:
        ValueError: If there is no such method.
    """
    if name not in METHODS:
        raise ValueError(f"no method is called {name!r}; there are: {', '.join(METHODS)}")
    return METHODS[name]
