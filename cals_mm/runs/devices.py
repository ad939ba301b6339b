"""Rank of the process, and runs of several processes without a GPU.

MMEngine selects a CUDA device when it starts several processes, whatever the backend, and passes
the device index to DistributedDataParallel, which fails for a model on the CPU.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from typing import Any, Literal

import torch
from mmengine.config import Config
from mmengine.device import get_device

from cals_mm.config import type_name

__all__ = [
    "Launcher",
    "prepare_devices",
    "rank",
]

Launcher = Literal["none", "pytorch", "slurm", "mpi"]
"""What started the processes."""

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")

SYNC_BN = {"SyncBN", "MMSyncBN", "SyncBatchNorm"}
"""Class names of synchronised batch norm, as registered and in mmcv and torch."""

CPU_WRAPPER = "cals_mm.runs.cpu_data_parallel.CPUDistributedDataParallel"
"""The full name, by which MMEngine imports the slow module when it builds the wrapper."""

# Environment variables from which each launcher's settings are read.
LAUNCHER_VARIABLES = {
    "slurm": {
        "RANK": "SLURM_PROCID",
        "WORLD_SIZE": "SLURM_NTASKS",
        "LOCAL_RANK": "SLURM_LOCALID",
    },
    "mpi": {
        "RANK": "OMPI_COMM_WORLD_RANK",
        "WORLD_SIZE": "OMPI_COMM_WORLD_SIZE",
        "LOCAL_RANK": "OMPI_COMM_WORLD_LOCAL_RANK",
    },
}


def rank() -> int:
    """Number of this process among those of the run; 0 where there is one only."""
    for variable in RANK_VARIABLES:
        if os.environ.get(variable, "").isdigit():
            return int(os.environ[variable])
    return 0


def prepare_devices(cfg: Config, launcher: Launcher) -> None:
    """Set the launcher; without a GPU, use gloo between processes.

    Without a GPU, synchronised batch norm becomes plain batch norm, so each process normalises with
    its own part of the batch.

    Raises:
        ValueError: If environment variables of the launcher are missing.
    """
    cfg.launcher = launcher
    if launcher == "none" or get_device() != "cpu":
        return
    _set_variables(launcher)
    env_cfg = cfg.setdefault("env_cfg", {})
    dist_cfg = env_cfg.setdefault("dist_cfg", {})
    dist_cfg["backend"] = "gloo"
    wrapper = dict(cfg.get("model_wrapper_cfg") or {})
    if type_name(wrapper) in ("None", "MMDistributedDataParallel", "CPUDistributedDataParallel"):
        wrapper["type"] = CPU_WRAPPER
    defaults = {
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
    }
    cfg.model_wrapper_cfg = {**defaults, **wrapper, "device_ids": None}
    cfg.sync_bn = None  # 'torch' or 'mmcv' would convert every batch norm
    _replace_sync_bn(cfg.model)
    torch.distributed.init_process_group(
        "gloo", timeout=datetime.timedelta(seconds=dist_cfg.get("timeout", 1800))
    )


def _set_variables(launcher: str) -> None:
    for variable, source in LAUNCHER_VARIABLES.get(launcher, {}).items():
        if source in os.environ:
            os.environ[variable] = os.environ[source]
    if launcher == "slurm" and "MASTER_ADDR" not in os.environ:
        nodes = os.environ.get("SLURM_NODELIST", "")
        hosts = subprocess.run(
            ["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True
        )
        os.environ["MASTER_ADDR"] = hosts.stdout.split()[0]
    os.environ.setdefault("MASTER_PORT", "29500")
    needed = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
    missing = [variable for variable in needed if variable not in os.environ]
    if missing:
        raise ValueError(
            f"--launcher {launcher} needs the environment variable {missing[0]}; start the "
            "processes by tools/dist_train.sh or tools/slurm_train.sh"
        )


def _replace_sync_bn(value: Any) -> None:
    if isinstance(value, dict):
        if type_name(value) in SYNC_BN:
            value["type"] = "BN"
        for item in value.values():
            _replace_sync_bn(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _replace_sync_bn(item)
