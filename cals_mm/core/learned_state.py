"""State that is learned from validations, not by gradient descent."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ._wide_buffers import WideBuffers

__all__ = ["LearnedState", "ValidationStatistics"]


class ValidationStatistics(Protocol):
    """Running sums over one validation: float64 or int64, so N processes give what one gives."""

    @property
    def count(self) -> Tensor:
        """Number of samples that count, () int64."""

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch: logits (N, K, ...), mask (N, ...) bool, target (N, ...) int64."""

    def reset_(self) -> None:
        """Forget all samples."""

    def all_reduce_(self) -> Any:
        """Add up the sums of all processes, in place; returns the object."""


class LearnedState(WideBuffers):
    """State in buffers, so that checkpoints carry it, moved by the sums over a validation.

    A subclass says what a validation has to sum up (:meth:`start_dual_epoch`), how that moves the
    state (:meth:`_update_`) and what to log (:meth:`curves`).

    It is loaded as a whole or not at all: of a checkpoint whose state has other entries or shapes,
    nothing is taken, and :attr:`misfit` says why.

    Attributes:
        num_updates: Number of validations so far, () int64.
        misfit: Why the state in the checkpoint that was loaded last was not taken; None: it was.
    """

    learned = "multipliers"
    """What moves, for messages and for the name of the picture."""

    num_updates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        self.misfit: str | None = None
        self._first: dict[str, Tensor] | None = None

    def start_dual_epoch(self) -> Any:
        """:class:`ValidationStatistics` of one validation; what they need of the state is copied.

        Whatever happens to the buffers during the validation, an average swapped in for one,
        does not reach the sums.
        """
        raise NotImplementedError

    @torch.no_grad()
    def step_(self, statistics: Any) -> None:
        """Move the state in place by the statistics of one validation.

        Call ``statistics.all_reduce_()`` first where there are several processes. Without any
        sample nothing changes and a warning is given.
        """
        if int(statistics.count) == 0:
            warnings.warn(
                f"the validation had no valid sample: the {self.learned} stay as they are",
                stacklevel=2,
            )
            return
        self.widen_()
        validation = int(self.num_updates) + 1
        self._update_(statistics, validation)
        self.num_updates.fill_(validation)

    def _update_(self, statistics: Any, validation: int) -> None:
        """Move the state at the validation of this number, counted from 1."""
        raise NotImplementedError

    def curves(self) -> dict[str, Tensor]:
        """State for log and picture: name -> (entries,) or () tensor; the first leads."""
        raise NotImplementedError

    def remark(self) -> str:
        """A remark on the last update, for the log; empty: none."""
        return ""

    def entry_names(self, curve: str) -> Sequence[str] | None:
        """Names of the entries of a curve; None where they are the classes."""
        return None

    @property
    def loaded(self) -> bool:
        """Whether there was state in a checkpoint that was loaded, since :meth:`settle`."""
        return self._first is not None

    def begin_anew_(self) -> None:
        """Return to the values before anything was loaded."""
        first = self._first
        if first is not None:
            self.load_state_dict(first)
        self.settle()

    def settle(self) -> None:
        """Forget the values before anything was loaded."""
        self._first = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: Any, strict: bool, *lists: Any
    ) -> None:
        own = self.state_dict()
        keys = [key for key in state_dict if key.startswith(prefix)]
        self.misfit = None
        if keys:
            if self._first is None:
                self._first = {key: value.clone() for key, value in own.items()}
            given = {key.removeprefix(prefix): tuple(state_dict[key].shape) for key in keys}
            self.misfit = _difference(given, {key: tuple(v.shape) for key, v in own.items()})
        if self.misfit:
            missing, unexpected, errors = lists
            missing += [prefix + key for key in own if key not in given]
            unexpected += [prefix + key for key in given if key not in own]
            if own.keys() == given.keys():
                errors.append(f"{prefix.rstrip('.')} stays as it is: {self.misfit}")
            for key in keys:
                del state_dict[key]
            # The parts of this module shall find nothing amiss, and change nothing.
            state_dict.update({prefix + key: value for key, value in own.items()})
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, *lists)


def _difference(given: dict[str, tuple[Any, ...]], own: dict[str, tuple[Any, ...]]) -> str | None:
    """What keeps one state from being loaded into another; None: nothing."""
    for key in sorted(given.keys() | own.keys()):
        if key not in given:
            return f"the checkpoint's has no {key}"
        if key not in own:
            return f"the checkpoint's has {key} beside"
        if given[key] != own[key]:
            return f"the checkpoint's {key} has shape {given[key]}, this one {own[key]}"
    return None
