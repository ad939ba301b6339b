"""Which state a run takes from a checkpoint: all of it when resumed, none when new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cals_mm.losses import StatefulLoss

__all__ = ["settle_state"]


def settle_state(
    loss: StatefulLoss, name: str, resumed: Mapping[str, Any] | None, load_state: bool
) -> str:
    """Let a loss continue from the state in a checkpoint, or start afresh.

    Args:
        loss: The loss, after the checkpoint was loaded.
        name: Its name in the model.
        resumed: Weights in the checkpoint that the run resumes from; None for a new run.
        load_state: Whether a new run continues from the state in the checkpoint.

    Returns:
        The decision, for the log.

    Raises:
        ValueError: If the state is required but does not fit, or ``load_state`` finds none.
    """
    state = loss.state
    if resumed is not None and not state.loaded:
        # A hook has replaced the loss, as it did before the run was interrupted.
        _load(loss, name, resumed)
    what = f"the {state.learned} of {loss.label}"
    if resumed is None and not load_state:
        left = f", without those in the checkpoint ({int(state.num_updates)} updates)"
        said = left if state.loaded else ""
        if state.misfit:
            said = f", for {state.misfit}"
        state.begin_anew_()
        return f"{what} begin at their first values{said}"
    if state.misfit:
        raise ValueError(
            f"{what} cannot go on: {state.misfit}. Resume with the config of that run, or begin "
            "anew from its weights, with load_from and neither resume nor load_state"
        )
    if state.loaded:
        state.settle()
        return f"{what} go on after {int(state.num_updates)} updates, from the checkpoint"
    if resumed is None:
        raise ValueError(
            f"load_state=True, but no checkpoint with {what} was loaded: set load_from to one of "
            f"a training with {type(loss).__name__}, or leave load_state out"
        )
    return f"{what} begin at their first values: the checkpoint holds none"


def _load(loss: StatefulLoss, name: str, weights: Mapping[str, Any]) -> None:
    key = next(key for key, module in loss.named_children() if module is loss.state)
    prefix = f"{name}.{key}."
    bare = {key.removeprefix("module."): value for key, value in weights.items()}
    own = {k.removeprefix(prefix): v for k, v in bare.items() if k.startswith(prefix)}
    if own:
        try:
            loss.state.load_state_dict(own, strict=False)
        except RuntimeError:
            assert loss.state.misfit
