"""Find the files of a training run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from cals_mm.frameworks.checkpoints import find_last_checkpoint

__all__ = ["FinishedRun", "find_run"]


class FinishedRun(NamedTuple):
    """Files of a run."""

    config: str
    """Dumped config."""
    checkpoint: str
    """The checkpoint to analyse."""
    last: str | None
    """The last checkpoint of the training, which holds the whole history of the multipliers."""


def find_run(
    work_dir: str, config: str | None = None, checkpoint: str | None = None
) -> FinishedRun:
    """Find config and checkpoints of a run, preferring the best checkpoint over the last one.

    Args:
        work_dir: Folder of the run.
        config: A config to use instead of the dumped one.
        checkpoint: A checkpoint to use instead of the best one.

    Raises:
        FileNotFoundError: If there is no such folder, config or checkpoint.
        ValueError: If there are several candidates.
    """
    folder = Path(work_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{work_dir!r} is no folder; give the work dir of a training run")
    try:
        last = find_last_checkpoint(work_dir)
    except FileNotFoundError:
        last = None  # deleted; the best one may be left
    if config is None:
        config = _only(folder, "*.py", "config", "--config")
    if checkpoint is None:
        best = sorted(folder.glob("best_*.pth"), key=os.path.getmtime)
        # A run with several `save_best` metrics has several best checkpoints.
        metrics = {path.name.split("_epoch_")[0].split("_iter_")[0] for path in best}
        if len(metrics) > 1:
            raise ValueError(
                f"{work_dir!r} holds best checkpoints by {len(metrics)} metrics "
                f"({', '.join(path.name for path in best)}); choose one by --checkpoint"
            )
        checkpoint = str(best[-1]) if best else last
    if checkpoint is None:
        raise FileNotFoundError(f"{work_dir!r} holds no checkpoint; name one by --checkpoint")
    return FinishedRun(config, checkpoint, last)


def _only(folder: Path, pattern: str, what: str, flag: str) -> str:
    found = sorted(folder.glob(pattern))
    if not found:
        raise FileNotFoundError(f"{str(folder)!r} holds no {what}; name one by {flag}")
    if len(found) > 1:
        raise ValueError(
            f"{str(folder)!r} holds several {what}s ({', '.join(path.name for path in found)}); "
            f"choose one by {flag}"
        )
    return str(found[0])
