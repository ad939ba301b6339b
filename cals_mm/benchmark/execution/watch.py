"""Show the progress of trainings in other processes in one bar."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from .records import held_out_records
from .run import Run

__all__ = ["watching"]

_SECONDS = 0.5
"""Seconds between two reads of the logs."""


@contextmanager
def watching(runs: Sequence[Run]) -> Iterator[None]:
    """Show the epochs of several trainings, and the newest held-out figures, while a block runs.

    Args:
        runs: Trainings of one task, all of the same length.
    """
    total = sum(run.config().train_cfg.max_epochs for run in runs)
    done = threading.Event()
    with tqdm(total=total, desc="train", unit="epoch", miniters=0) as bar:

        def follow() -> None:
            while not done.wait(_SECONDS):
                _show(bar, runs)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            _show(bar, runs)


def _show(bar: tqdm, runs: Sequence[Run]) -> None:
    epochs, figures = 0, []
    for run in runs:
        records = held_out_records(run.folder, run.task.main.key)
        if not records:
            continue
        last = max(records)
        epochs += last
        main, ece = records[last][run.task.main.key], records[last]["calibration/ECE"]
        heading = run.task.main.heading.removesuffix(" %")
        figures.append(f"{run.method}: held-out {heading} {main:.1f} ECE {ece:.1f} %")
    if epochs != bar.n:
        bar.set_postfix_str("; ".join(figures), refresh=False)
        bar.update(epochs - bar.n)
