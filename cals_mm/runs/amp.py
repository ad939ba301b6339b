"""Mixed precision by `--amp`: float16 with loss scaling on a GPU, bfloat16 on the CPU."""

from __future__ import annotations

import platform

import torch
from mmengine.config import Config
from mmengine.device import get_device

from cals_mm.config import type_name

__all__ = ["note_of_slow_precision", "use_mixed_precision"]

CPU_WRAPPER = "cals_mm.runs.cpu_amp.CPUAmpOptimWrapper"
"""The full name, by which MMEngine imports the slow module when it builds the wrapper."""


def use_mixed_precision(cfg: Config) -> None:
    """Switch the optimizer wrapper of a config to mixed precision.

    Raises:
        ValueError: If its wrapper has no mixed-precision counterpart.
    """
    wrapper = cfg.get("optim_wrapper")
    if not wrapper:
        raise ValueError("--amp needs an optim_wrapper in the config")
    wrapper.setdefault("type", "OptimWrapper")
    name = type_name(wrapper)
    if name not in ("OptimWrapper", "AmpOptimWrapper", "CPUAmpOptimWrapper"):
        raise ValueError(
            f"--amp cannot change the optim_wrapper {name!r}; it can change an 'OptimWrapper'"
        )
    if get_device() == "cpu":
        wrapper["type"] = CPU_WRAPPER
        for key in ("loss_scale", "dtype", "use_fsdp"):
            wrapper.pop(key, None)
    else:
        wrapper["type"] = "AmpOptimWrapper"
        wrapper.setdefault("loss_scale", "dynamic")


def note_of_slow_precision() -> str | None:
    """A line for the user if mixed precision is slower than float32 here, else None.

    x86 processors without AVX-512 have no instructions that oneDNN could compute bfloat16
    convolutions with. It does so one number at a time.
    """
    if get_device() != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    if torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return None
    return (
        "note: this processor has no AVX-512, so training in bfloat16 by --amp is slow, about ten "
        "times slower than in float32; leave --amp away unless you have a reason"
    )
