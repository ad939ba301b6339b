"""Describe what computes the loss on this machine."""

from __future__ import annotations

import importlib.util
import os

import torch

from .choice import asked_backend
from .installed import NATIVE
from .loss import LOSS_BACKENDS, choose_loss
from .problem import LossProblem

__all__ = ["report"]


def report() -> dict[str, str]:
    """Collect what is available and what is chosen, by name.

    Raises:
        ValueError: If ``CALS_MM_BACKEND`` is not a backend.
    """
    asked = asked_backend()
    facts = {"CALS_MM_BACKEND": asked if "CALS_MM_BACKEND" in os.environ else "not set (auto)"}
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        there = [b.name for b in LOSS_BACKENDS[device] if _is_there(b.name, device)]
        facts[f"backends on {device}"] = ", ".join(there)
        facts[f"loss on {device}"] = _chosen(device)
    if NATIVE is None:
        facts["compiled kernels"] = "missing: install a C compiler and run 'pip install' again"
        return facts
    facts["compiled kernels"] = f"instruction set {NATIVE.instruction_set}"
    threads = torch.get_num_threads()
    if NATIVE.shares_threads():
        facts["threads"] = f"{threads} (torch's)"
    else:
        facts["threads"] = f"1: torch's OpenMP threads were not found (torch itself: {threads})"
    return facts


def _is_there(name: str, device: str) -> bool:
    if name == "native":
        return NATIVE is not None
    if name == "triton":
        return device == "cuda" and importlib.util.find_spec("triton") is not None
    return True


def _chosen(device: str) -> str:
    """The backends of a loss of labels with PHR in float32 and in half precision."""
    ones = torch.ones(2, device=device)
    label = torch.zeros(1, dtype=torch.long, device=device)
    names = {}
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.zeros(1, 2, dtype=dtype, device=device)
        problem = LossProblem(
            logits, label, ones, ones, 1.0, "phr", None, None, 0.0, False, 1.0, None, None
        )
        try:
            names[str(dtype).split(".")[1]] = choose_loss(problem).name
        except ValueError as error:
            return str(error)
    return ", ".join(f"{name} for {dtype}" for dtype, name in names.items())
