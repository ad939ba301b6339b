"""What a loss has to offer so that `CALSMultiplierHook` can let it follow the validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mmengine.logging import MessageHub
from torch import Tensor, nn

__all__ = ["ValidatedLoss", "ValidationStatistics"]


class ValidationStatistics(Protocol):
    """Running sums over one validation: float64 or int64, so N processes give what one gives."""

    count: Tensor
    """Number of samples that count, () int64."""

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch: logits (N, K, ...), mask (N, ...) bool, target (N, ...) int64."""

    def reset_(self) -> None:
        """Forget all samples."""

    def all_reduce_(self) -> Any:
        """Add up the sums of all processes, in place; returns the object."""


class ValidatedLoss(nn.Module):
    """A loss with state that moves after every validation, driven by ``CALSMultiplierHook``.

    A subclass keeps its state in buffers, so that checkpoints carry it, and implements
    :meth:`start_dual_epoch`, :meth:`step_` and :meth:`curves`. Its ``forward`` calls
    :meth:`require_hook`.

    Args:
        ignore_index: Label that counts for nothing; None: every sample counts.
    """

    learned = "multipliers"
    """What moves, for messages and for the name of the picture."""
    driven_by = "CALSMultiplierHook"
    """The hook that moves it; another one than this moves it by other data than the validation."""

    def __init__(self, ignore_index: int | None = -100) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.updated_by_hook = False
        """Set by the hook; a runner that trains without it is refused."""
        self.last_parts: NamedTuple | None = None
        """Detached scalars of the last training loss, for the log."""
        self._first_iteration: int | None = None

    def start_dual_epoch(self) -> Any:
        """:class:`ValidationStatistics` of one validation; what they need of the state is copied.

        Whatever happens to the buffers during the validation, an average swapped in for one,
        does not reach the sums.
        """
        raise NotImplementedError

    def step_(self, statistics: Any) -> None:
        """Move the state in place, by statistics that hold the sums of all processes."""
        raise NotImplementedError

    def curves(self) -> dict[str, Tensor]:
        """State for log and picture: name -> (entries,) or () tensor; the first leads."""
        raise NotImplementedError

    def entry_names(self, curve: str) -> Sequence[str] | None:
        """Names of the entries of a curve; None where they are the classes."""
        return None

    @property
    def label(self) -> str:
        """Name of the method: 'CALS' for a ``CALSLoss``."""
        return type(self).__name__.removesuffix("Loss")

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
                f"{type(self).__name__} is trained, but no hook updates its {self.learned}: add "
                f"dict(type='{self.driven_by}') to custom_hooks"
            )
