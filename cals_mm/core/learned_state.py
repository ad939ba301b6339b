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
    """Sums over one validation, in float64 or int64 so that processes can be added up."""

    @property
    def count(self) -> Tensor:
        """Number of valid samples, () int64."""

    def update(
        self, logits: Tensor, mask: Tensor | None = None, target: Tensor | None = None
    ) -> None:
        """Add a batch: logits (N, K, ...), mask (N, ...) bool, target (N, ...) int64."""

    def reset_(self) -> None:
        """Forget all samples."""

    def all_reduce_(self) -> Any:
        """Add up the sums of all processes, in place; returns the object."""


class LearnedState(WideBuffers):
    """State that is kept in buffers and updated from the statistics of a validation.

    A subclass defines the statistics of a validation (:meth:`start_dual_epoch`), how they update
    the state (:meth:`_update_`), and what to log (:meth:`curves`).

    The state is loaded as a whole or not at all: if entries or shapes in the checkpoint differ,
    nothing is loaded, and :attr:`misfit` says why.

    Attributes:
        num_updates: Number of validations so far, () int64.
        misfit: Why the state in the last checkpoint was not loaded; None if it was.
    """

    learned = "multipliers"
    """What is learned, for messages and for the name of the figure."""

    num_updates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        self.misfit: str | None = None
        self._first: dict[str, Tensor] | None = None

    def start_dual_epoch(self) -> Any:
        """Create the :class:`ValidationStatistics` of one validation.

        They copy what they need of the state, so changes of the buffers during the validation, e.g.
        by a hook that swaps in averaged weights, do not affect the sums.
        """
        raise NotImplementedError

    @torch.no_grad()
    def step_(self, statistics: Any) -> None:
        """Update the state in place from the statistics of one validation.

        With several processes, call ``statistics.all_reduce_()`` first. Without any sample the
        state stays unchanged and a warning is issued.
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
        """Update the state; validations are counted from 1."""
        raise NotImplementedError

    def curves(self) -> dict[str, Tensor]:
        """State for log and figure: name -> (entries,) or () tensor, the most important first."""
        raise NotImplementedError

    def remark(self) -> str:
        """A remark on the last update, for the log; empty if there is none."""
        return ""

    def entry_names(self, curve: str) -> Sequence[str] | None:
        """Names of the entries of a curve; None if they are the classes."""
        return None

    @property
    def loaded(self) -> bool:
        """Whether a checkpoint loaded since :meth:`settle` contained the state."""
        return self._first is not None

    def begin_anew_(self) -> None:
        """Restore the values from before the checkpoint was loaded."""
        first = self._first
        if first is not None:
            self.load_state_dict(first)
        self.settle()

    def settle(self) -> None:
        """Forget the values from before the checkpoint was loaded."""
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
            # Submodules load their own values, so that they report no errors and stay unchanged.
            state_dict.update({prefix + key: value for key, value in own.items()})
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, *lists)


def _difference(given: dict[str, tuple[Any, ...]], own: dict[str, tuple[Any, ...]]) -> str | None:
    """Why one state cannot be loaded into another; None if it can."""
    for key in sorted(given.keys() | own.keys()):
        if key not in given:
            return f"the checkpoint's has no {key}"
        if key not in own:
            return f"the checkpoint's has {key} beside"
        if given[key] != own[key]:
            return f"the checkpoint's {key} has shape {given[key]}, this one {own[key]}"
    return None
