"""Keep random states in checkpoints, so that a resumed run equals an uninterrupted one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

__all__ = ["RandomStateHook"]

KEY = "cals_random_state"


@HOOKS.register_module(force=True)  # in place of the lazy entry
class RandomStateHook(Hook):
    """Save the random generators in checkpoints and restore them on resume.

    MMEngine seeds a resumed run like a new one, so dropout and augmentations differ from those of
    an uninterrupted run. With this hook they are bitwise identical if data are loaded in the main
    process (``num_workers=0``) or by workers that are restarted every epoch. Only one process
    writes checkpoints, so runs of several processes keep MMEngine's behaviour.
    """

    # Before any hook that catches up on a validation when the run resumes.
    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Keep the data loaders from drawing from the global generator.

        Every new iterator of a ``DataLoader`` draws a seed for its workers. A resumed run creates
        iterators at other times than an uninterrupted one. With a generator of its own, a loader
        does not advance the stream that dropout and augmentations draw from.
        """
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)
        for loader in loaders:
            loader.generator = torch.Generator().manual_seed(runner.seed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Restore the state of the checkpoint once, after all set-up is done."""
        state, self._state = self._state, None
        if state is None:
            return
        _restore(state)
        loop = runner.train_loop
        batches = getattr(loop, "dataloader_iterator", None)
        # The maintained MMEngine skips samples; the original loads the batches and drops them.
        if batches is not None and not hasattr(batches, "skip_iter"):
            loop.dataloader_iterator = _Skipping(batches, runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the random state of this process."""
        if get_world_size() == 1:
            checkpoint[KEY] = _capture()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the state of the checkpoint, if the run has a single process."""
        if runner._resume and get_world_size() == 1:
            self._state = checkpoint.get(KEY)


class _Skipping:
    """Batches of a resumed run, the first of which leave the random generators as they were.

    Args:
        batches: The iterator.
        skipped: Number of batches that the loop drops before it trains.
    """

    def __init__(self, batches: Iterator[Any], skipped: int) -> None:
        self._batches = batches
        self._skipped = skipped

    def __next__(self) -> Any:
        if not self._skipped:
            return next(self._batches)
        self._skipped -= 1
        state = _capture()
        batch = next(self._batches)
        _restore(state)
        return batch


def _capture() -> dict[str, Any]:
    version, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        # Plain types, so that checkpoints load without unpickling NumPy objects.
        "numpy": (version, torch.from_numpy(np.asarray(keys, np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _restore(state: dict[str, Any]) -> None:
    version, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((version, keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
