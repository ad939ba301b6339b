"""Find the loss whose state a hook updates."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from cals_mm.losses import StatefulLoss

__all__ = ["Located", "LossNotFoundError", "locate_loss"]

_NOT_FOUND = {
    "CALSMultiplierHook": "CALSMultiplierHook found no CALSLoss in the model: set the decode "
    "head's loss_decode or the classifier head's loss to dict(type='CALSLoss', num_classes=...), "
    "or remove the hook",
    "SampleMultiplierHook": "SampleMultiplierHook found no SampleCALSLoss in the model: set the "
    "classifier head's loss to dict(type='SampleCALSLoss', num_classes=..., num_samples=...), or "
    "remove the hook",
}


class LossNotFoundError(ValueError):
    """The model has no loss that the hook can drive, or none with the given name."""


class Located(NamedTuple):
    """A loss in a model."""

    loss: StatefulLoss
    ignore_index: int | None
    """Label that its head ignores; None if ignored pixels are constrained too."""
    name: str
    """Its name in the model."""


def locate_loss(
    model: nn.Module, name: str | None = None, hook: str = "CALSMultiplierHook"
) -> Located:
    """Find the loss that a hook drives.

    Args:
        model: The model, unwrapped.
        name: Name of the loss among ``model.named_modules()``; needed only if there are several.
        hook: Name of the hook's class.

    Returns:
        The loss, the label to ignore, and the name.

    Raises:
        LossNotFoundError: If there is no such loss.
        ValueError: If there are several losses and no name is given, or if another hook drives them
            all.
    """
    found = {
        key: module for key, module in model.named_modules() if isinstance(module, StatefulLoss)
    }
    losses = {key: module for key, module in found.items() if module.driven_by == hook}
    types = " and ".join(sorted({type(module).__name__ for module in losses.values()}))
    if found and not losses:
        other = next(iter(found.values()))
        raise ValueError(
            f"{hook} does not drive {type(other).__name__}: replace it by "
            f"dict(type='{other.driven_by}') in custom_hooks"
        )
    if not losses:
        raise LossNotFoundError(_NOT_FOUND[hook])
    if name is None and len(losses) > 1:
        raise ValueError(
            f"the model has {len(losses)} {types} modules ({', '.join(losses)}): say which one "
            f"learns with {hook}(module='...')"
        )
    if name is None:
        name = next(iter(losses))
    if name not in losses:
        raise LossNotFoundError(f"module={name!r} is no {types}; there is: {', '.join(losses)}")
    loss = losses[name]
    if loss.ignore_index is None:
        return Located(loss, None, name)
    # The head that owns the loss passes its own ignore_index, as mmsegmentation's do.
    for depth in range(name.count("."), -1, -1):
        owner = model.get_submodule(".".join(name.split(".")[:depth]))
        ignored = getattr(owner, "ignore_index", None)
        if isinstance(ignored, int):
            return Located(loss, ignored, name)
    return Located(loss, loss.ignore_index, name)
