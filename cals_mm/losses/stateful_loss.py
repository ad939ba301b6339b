"""Losses with state that a hook updates during training."""

from __future__ import annotations

from typing import NamedTuple

from mmengine.logging import MessageHub
from torch import Tensor

from cals_mm.core import LearnedState

from .framework_loss import FrameworkLoss, LossCall

__all__ = ["StatefulLoss"]


class StatefulLoss(FrameworkLoss):
    """A loss that holds a :class:`~cals_mm.core.LearnedState`, which a hook updates.

    List it before the base class that computes the loss, such as :class:`PerSampleLoss`.

    Args:
        state: The state that the hook updates.
        key: Name of the state in checkpoints.
        loss_weight: Factor of the loss.
        ignore_index: Label to ignore, unless the head passes its own. None ignores no label.
        loss_name: Name in the log; the loss is optimised only if it contains 'loss'.
    """

    driven_by = "CALSMultiplierHook"
    """Name of the hook that updates the state; other hooks refuse this loss."""

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
        """Set by the hook; training without the hook is an error."""
        self.last_parts: NamedTuple | None = None
        """Detached scalars of the last training loss, for the log."""
        self._first_iteration: int | None = None

    @property
    def state(self) -> LearnedState:
        """The state that the hook updates, a module of :mod:`cals_mm.core`."""
        state = self._modules[self._key]
        assert isinstance(state, LearnedState)
        return state

    @property
    def label(self) -> str:
        """Name of the method: 'CALS' for a ``CALSLoss``."""
        return type(self).__name__.removesuffix("Loss")

    def mean_loss(self, call: LossCall) -> Tensor:
        """Check that a hook updates the state, then compute the loss with the next base class."""
        self.require_hook()
        return super().mean_loss(call)

    def require_hook(self) -> None:
        """Reject a training run in which no hook updates the state.

        Raises:
            ValueError: If a runner trains this loss and no hook has claimed it.
        """
        if self.updated_by_hook or not self.training:
            return
        # A runner is training if it says so and its iterations advance. The former alone is no
        # proof: it may be left over from a run that was interrupted in this process, e.g. in a
        # notebook.
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
