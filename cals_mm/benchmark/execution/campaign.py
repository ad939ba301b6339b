"""Train every method under one budget, choose its setting on held-out data, test it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cals_mm.benchmark.plan import DEFAULT, LATE_GAP, Column, Setting, Task, candidates, choose
from cals_mm.config import SCALED
from cals_mm.methods import METHODS
from cals_mm.runs import check_checkpoint

from .processes import Processes, RunFailed
from .progress import Progress
from .run import Budget, Run
from .shift import ShiftTest
from .testing import CheckpointTest

__all__ = ["Campaign", "Choice"]


@dataclass(frozen=True)
class Choice:
    """How the setting of a method was chosen.

    Attributes:
        setting: The chosen setting.
        held_out: Held-out figures of all settings tried, with the first seed.
    """

    setting: Setting
    held_out: dict[Setting, dict[str, float]]


@dataclass
class Campaign:
    """All runs of one task.

    Args:
        budget: Settings that all methods share.
        task: The task.
        methods: Names of the methods.
        seeds: Seeds; settings are chosen with the first.
        tries: Number of settings to try of each method that has a knob.
        checkpoint: Checkpoint to test and to choose settings by, ``'best'`` on the held-out data or
            ``'last'``.
        shift: Corruptions to test on too, as ``KIND:SEVERITY``.
        processes: Runs the commands. None starts nothing and collects finished runs only.
        say: Receives each line of progress.
    """

    budget: Budget
    task: Task
    methods: Sequence[str]
    seeds: Sequence[int]
    tries: int = 1
    checkpoint: str = "best"
    shift: Sequence[str] = ()
    processes: Processes | None = None
    say: Callable[[str], None] = print
    failures: dict[str, str] = field(default_factory=dict)
    """Reasons of failures, by the description of the run."""
    choices: dict[str, Choice] = field(default_factory=dict)
    tested: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    """Figures on the test split, by method and seed."""

    def run(self) -> None:
        """Execute all runs that are not finished."""
        settings = {method: self.settings(method) for method in self.methods}
        tried = [
            self.a_run(method, setting, self.seeds[0])
            for method in self.methods
            for setting in settings[method]
        ]
        others = len(self.methods) * (len(self.seeds) - 1)
        jobs = self.processes.jobs if self.processes else 1
        self._progress = Progress(len(tried) + others, jobs, self.say)
        self._each(self._train, tried)
        for method in self.methods:
            self._choose(method, settings[method])
        chosen = [
            self.a_run(method, choice.setting, seed)
            for method, choice in self.choices.items()
            for seed in self.seeds
        ]
        self._each(self._train, [run for run in chosen if run not in tried])
        self._each(self._test, chosen)
        # In the order of methods and seeds, not in which they finished.
        found = {method: self.tested[method] for method in self.methods if method in self.tested}
        self.tested = {method: dict(sorted(figures.items())) for method, figures in found.items()}

    def settings(self, method: str) -> list[Setting]:
        """The settings to try of a method."""
        cfg = self.a_run(method, DEFAULT, self.seeds[0]).config()
        return candidates(cfg, METHODS[method], self.tries)

    def a_run(self, method: str, setting: Setting, seed: int) -> Run:
        """Create one of the runs."""
        return Run(self.budget, self.task, method, setting, seed)

    def test_of(self, run: Run) -> CheckpointTest:
        """The test of a run."""
        return CheckpointTest(run, self.checkpoint)

    def shift_test(self, run: Run) -> ShiftTest:
        """The test of a run on the corruptions."""
        return ShiftTest(self.test_of(run), self.shift)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the tables."""
        return (*self.task.columns, *(self.task.shifted if self.shift else ()))

    def _each(self, function: Callable[[Run], None], runs: Sequence[Run]) -> None:
        def guarded(run: Run) -> None:
            try:
                function(run)
            except (RunFailed, ValueError, OSError) as error:
                self.failures[str(run)] = str(error)
                self.say(f"failed: {run}: {error}")

        if self.processes is None:
            for run in runs:
                guarded(run)
        else:
            self.processes.map(guarded, runs)

    def _train(self, run: Run) -> None:
        if run.trained():
            self._progress.skip(str(run))
            return
        if self.processes is None:
            raise ValueError("not trained to the end yet")
        with self._progress.running(str(run)):
            began = time.monotonic()
            lock = run.folder / ".lock"
            self.processes.call(run.start_command, run.folder / "train.log", lock)
            run.mark_trained(time.monotonic() - began)

    def _choose(self, method: str, settings: Sequence[Setting]) -> None:
        held_out = {}
        for setting in settings:
            run = self.a_run(method, setting, self.seeds[0])
            if str(run) in self.failures:
                continue
            try:
                held_out[setting] = run.held_out(self.checkpoint)
            except (ValueError, OSError) as error:
                self.failures[str(run)] = str(error)
        missing = len(settings) - len(held_out)
        if missing:
            self.failures[method] = f"{missing} of {len(settings)} tries failed: no setting chosen"
            if len(settings) > 1:
                self.say(f"failed: {method}: {self.failures[method]}")
            return
        try:
            chosen = choose(held_out)
        except ValueError as error:
            self.failures[method] = str(error)
            self.say(f"failed: {method}: {error}")
            return
        self.choices[method] = Choice(chosen, held_out)
        if len(settings) > 1:
            self.say(f"{method}: of {len(settings)} settings {self.choices[method].setting.name}")

    def _test(self, run: Run) -> None:
        if str(run) in self.failures:
            return
        test = self.test_of(run)
        metrics = test.figures()
        if metrics is None:
            if self.processes is None:
                raise ValueError("not tested yet")
            check_checkpoint(str(test.checkpoint))
            log, lock = test.folder / "test.log", run.folder / ".lock"
            self.processes.call(lambda: test.command(keep=True), log, lock)
            test.record()
            metrics = test.figures()
            assert metrics is not None
            main = self.task.main
            self.say(
                f"tested: {run}: {main.heading} {metrics[main.key]:.2f}, "
                f"ECE % {metrics['calibration/ECE']:.2f}"
            )
        metrics = {**metrics, LATE_GAP.key: run.late_gap()}
        self.tested.setdefault(run.method, {})[run.seed] = metrics
        if self.shift:
            self.tested[run.method][run.seed] = {**metrics, **self._test_shift(run, metrics)}

    def _test_shift(self, run: Run, clean: Mapping[str, float]) -> dict[str, float]:
        test = self.shift_test(run)
        figures = test.figures()
        if figures is None:
            if self.processes is None:
                raise ValueError("not tested under shift yet")
            temperature = clean[f"{SCALED}/temperature"]
            log, lock = test.folder / "test.log", run.folder / ".lock"
            self.processes.call(lambda: test.command(temperature), log, lock)
            test.record()
            figures = test.figures()
            assert figures is not None
            self.say(f"tested under shift: {run}")
        return figures
