"""Losses with state that moves after every validation."""

from __future__ import annotations

from typing import NamedTuple

from mmengine.logging import MessageHub
from torch import Tensor

from cals_mm.core import LearnedState

from .framework_loss import FrameworkLoss, LossCall

__all__ = ["StatefulLoss"]


class StatefulLoss(FrameworkLoss):
    """A loss that holds a :class:`~cals_mm.core.LearnedState`, which a hook moves.

    In the order of bases it comes before the one that computes the loss, such as
    :class:`PerSampleLoss`.

    Args:
        state: What the loss learns, beside the network.
        key: Name of the state in checkpoints.
        loss_weight: Factor of the loss.
        ignore_index: Label that counts for nothing, unless the head passes its own. None: every
            sample counts.
        loss_name: Name in the log; it must contain 'loss' to be optimised.
    """

    driven_by = "CALSMultiplierHook"
    """The hook that moves the state; no other may."""

    def __init__(
        self,
        state: LearnedState,
        key: str,
        loss_weight: float = 1.0,
        ignore_index: int | None = -100,
        loss_name: str = "loss",
    ) -> None:
        super().__init__(loss_weight, ignore_index, loss_name)
        self.add_module(key, state)
        self._key = key
        self.updated_by_hook = False
        """Set by the hook; a runner that trains without it is refused."""
        self.last_parts: NamedTuple | None = None
        """Detached scalars of the last training loss, for the log."""
        self._first_iteration: int | None = None

    @property
    def state(self) -> LearnedState:
        """What moves after a validation: a module of :mod:`cals_mm.core`."""
        state = self._modules[self._key]
        assert isinstance(state, LearnedState)
        return state

    @property
    def label(self) -> str:
        """Name of the method: 'CALS' for a ``CALSLoss``."""
        return type(self).__name__.removesuffix("Loss")

    def mean_loss(self, call: LossCall) -> Tensor:
        """Scalar loss of a batch, by the next base, once a hook is known to move the state."""
        self.require_hook()
        return super().mean_loss(call)

    def require_hook(self) -> None:
        """Refuse a training run in which nothing moves the state.

        Raises:
            ValueError: If a runner trains this loss and no hook has claimed it.
        """
        if self.updated_by_hook or not self.training:
            return
        # A runner says that it trains, and its iterations advance. The first alone is no proof: a
        # run that was interrupted in this process, in a notebook say, leaves it behind.
        runtime = MessageHub.get_current_instance().runtime_info
        if runtime.get("loop_stage") != "train":
            return
        iteration = runtime.get("iter")
        if self._first_iteration is None:
            self._first_iteration = iteration
        elif iteration != self._first_iteration:
            raise ValueError(
                f"{type(self).__name__} is trained, but no hook updates its {self.state.learned}: "
                f"add dict(type='{self.driven_by}') to custom_hooks"
            )
