"""One training run: whether it is finished, and the command for the rest."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmengine.config import Config

from cals_mm import files, runs
from cals_mm.benchmark.plan import Setting, Task
from cals_mm.config import for_training, nested, with_fused_resize
from cals_mm.methods import METHODS

from .fingerprint import TRAINING, fingerprint
from .records import checkpoint_file, held_out_records, late_gap, resume_from, unit_of

__all__ = ["Budget", "Run", "read_json", "shown"]

MARKER, BEGUN = "trained.json", "begun.json"


@dataclass(frozen=True)
class Budget:
    """Settings that all methods share.

    Attributes:
        root: Folder with ``configs`` and ``tools``, :data:`~cals_mm.packaged.PACKAGED`.
        work_dir: Folder of all results.
        data_root: Folder of the data. None keeps that of the configs.
        epochs: Length of the training. None keeps that of the configs.
        amp: Whether to train in mixed precision.
    """

    root: Path
    work_dir: Path
    data_root: str | None = None
    epochs: int | None = None
    amp: bool = False


@dataclass(frozen=True)
class Run:
    """One method with one setting and one seed."""

    budget: Budget
    task: Task
    method: str
    setting: Setting
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.setting.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Folder it writes to."""
        parts = (self.task.name, self.method, self.setting.name, f"seed{self.seed}")
        return self.budget.work_dir.joinpath(*parts)

    @property
    def config_file(self) -> Path:
        """The task's config."""
        return self.budget.root / self.task.config

    @property
    def dumped_config(self) -> Path:
        """File to which a training dumps its config."""
        return self.folder / self.config_file.name

    def config(self) -> Config:
        """The config that is trained, its data where the config file has them."""
        cfg = Config.fromfile(self.config_file, import_custom_modules=False)
        cfg.merge_from_dict(self.changes())
        cfg = for_training(cfg, self.method, **nested(dict(self.setting.options)))
        if self.fused:
            cfg = with_fused_resize(cfg)
        if self.budget.amp:
            runs.use_mixed_precision(cfg)
        cfg.randomness = {**cfg.get("randomness", {}), "seed": self.seed}
        return cfg

    @property
    def fused(self) -> bool:
        """Whether to ask for losses before resizing, which methods with a loss do by themselves."""
        return not self.task.single_labels and METHODS[self.method].loss is None

    def changes(self) -> dict[str, Any]:
        """Changes of the config, by dotted key, before the method is applied."""
        if self.budget.epochs is None and not self.task.own:
            return {}
        cfg = Config.fromfile(self.config_file, import_custom_modules=False)
        changes: dict[str, Any] = {}
        if self.task.own:
            changes.update(_observed(cfg, self.task.main.key))
        if self.budget.epochs is not None:
            changes.update(_lasting(cfg, self.budget.epochs))
        return changes

    def trained(self) -> bool:
        """Whether the training is finished.

        Raises:
            ValueError: If the folder holds a run of another config.
        """
        wanted = fingerprint(self.config(), TRAINING)
        marker = read_json(self.folder / MARKER)
        begun = marker or read_json(self.folder / BEGUN)
        found = begun["config"] if begun else self._fingerprint_of_dump()
        if found not in (None, wanted):
            raise ValueError(
                f"{str(self.folder)!r} holds a run of another config; move that folder away to "
                "train anew, or choose another --work-dir"
            )
        return marker is not None

    def _fingerprint_of_dump(self) -> str | None:
        """What was begun in the folder without a record, by the config that MMEngine left there."""
        if not self.dumped_config.is_file():
            return None
        cfg = Config.fromfile(self.dumped_config, import_custom_modules=False)
        if cfg.get("resume"):
            cfg.load_from = None  # the checkpoint it was resumed from
        return fingerprint(cfg, TRAINING)

    def train_command(self) -> list[str]:
        """The command of a fresh training."""
        options = [f"{key}={value}" for key, value in self.setting.options]
        return [
            *self.script("train.py", self.config_file),
            *("--method", self.method),
            *(["--fused"] if self.fused else []),
            *(["--method-options", *options] if options else []),
            *("--seed", str(self.seed), "--work-dir", str(self.folder)),
            *(["--amp"] if self.budget.amp else []),
            *self.data_arguments(self.changes()),
        ]

    def start_command(self) -> list[str]:
        """The command that starts the training or resumes an interrupted one.

        Records what is begun. Checkpoints that cannot be resumed from are moved aside.
        """
        cfg = self.config()
        files.write_json(self.folder / BEGUN, {"config": fingerprint(cfg, TRAINING)})
        checkpoint = resume_from(self.folder, cfg)
        if checkpoint is not None:
            return [*self.train_command(), "--resume", str(checkpoint)]
        for file in self.folder.glob("*.pth"):
            file.rename(file.with_suffix(".interrupted"))
        return self.train_command()

    def mark_trained(self, seconds: float) -> None:
        """Record that the training is finished.

        Args:
            seconds: Duration since it was last started or resumed.
        """
        marker = {"config": fingerprint(self.config(), TRAINING), "seconds": round(seconds, 1)}
        files.write_json(self.folder / MARKER, marker)

    def held_out(self, which: str) -> dict[str, float]:
        """Held-out figures of the ``'best'`` or the ``'last'`` checkpoint."""
        epoch, _ = self.checkpoint(which)
        records = held_out_records(self.folder, self.task.main.key)
        if epoch not in records:
            raise ValueError(f"the log of {self} has no validation of epoch {epoch}")
        return records[epoch]

    def late_gap(self) -> float:
        """Mean of abs(confidence - accuracy) over the last third of the validations, in percent."""
        return late_gap(held_out_records(self.folder, self.task.main.key))

    def checkpoint(self, which: str) -> tuple[int, Path]:
        """Epoch and file of the ``'best'`` or the ``'last'`` checkpoint."""
        cfg = self.config()
        saving = cfg.default_hooks.checkpoint
        return checkpoint_file(self.folder, saving.save_best, saving.rule, which, unit_of(cfg))

    def script(self, name: str, *args: Path) -> list[str]:
        """Beginning of a command."""
        return [sys.executable, str(self.budget.root / "tools" / name), *map(str, args)]

    def data_arguments(self, changes: Mapping[str, Any] = MappingProxyType({})) -> list[str]:
        """End of a command: the folder of the data, and changes of the config."""
        data = ["--data-root", self.budget.data_root] if self.budget.data_root else []
        said = [f"{key}={value}" for key, value in changes.items()]
        return [*data, *(["--cfg-options", *said] if said else [])]


def _observed(cfg: Config, main: str) -> dict[str, Any]:
    """Changes that let a config keep its best checkpoint and log its validations as is read."""
    by_epoch = unit_of(cfg) == "epoch"
    wanted: dict[str, dict[str, Any]] = {
        "checkpoint": {"save_best": main, "rule": "greater", "by_epoch": by_epoch},
        "logger": {"log_metric_by_epoch": by_epoch},
    }
    hooks = cfg.get("default_hooks") or {}
    for name, kind in (("checkpoint", "CheckpointHook"), ("logger", "LoggerHook")):
        if not hooks.get(name):
            wanted[name]["type"] = kind
    if (hooks.get("checkpoint") or {}).get("max_keep_ckpts") == 1:
        # The last one is whole for certain only after the validation that follows it.
        wanted["checkpoint"]["max_keep_ckpts"] = 2
    return {
        f"default_hooks.{name}.{key}": value
        for name, values in wanted.items()
        for key, value in values.items()
    }


def _lasting(cfg: Config, epochs: int) -> dict[str, Any]:
    """Changes that let a config train for a number of epochs, with the schedules that end with it.

    Warm-ups, which end earlier, and schedules by iterations stay as they are.
    """
    before = cfg.train_cfg.get("max_epochs")
    changes: dict[str, Any] = {"train_cfg.max_epochs": epochs}
    schedulers = cfg.get("param_scheduler") or []
    single = isinstance(schedulers, dict)
    for index, scheduler in enumerate([schedulers] if single else schedulers):
        begin = scheduler.get("begin", 0)
        if before is None or not scheduler.get("by_epoch", True) or begin >= epochs:
            continue
        place = "param_scheduler" if single else f"param_scheduler.{index}"
        if scheduler.get("end") == before:
            changes[f"{place}.end"] = epochs
        if scheduler.get("T_max") == before - begin:
            changes[f"{place}.T_max"] = epochs - begin
    return changes


def shown(command: Sequence[str], root: Path) -> str:
    """Format a command as a user would type it, with or without a checkout."""
    words = (word.removeprefix(f"{root}/") for word in command[2:])
    return shlex.join(["cals", Path(command[1]).stem, *words])


def read_json(file: Path) -> Any:
    """Content of a JSON file; None if there is none."""
    return json.loads(file.read_text("utf-8")) if file.is_file() else None
