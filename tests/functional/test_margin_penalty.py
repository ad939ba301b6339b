"""The penalty alone against its definition, and what it promises beyond its value."""

from __future__ import annotations

import os
from unittest.mock import patch

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cals_mm.functional import (
    PENALTIES,
    cals_loss,
    margin_penalty,
    margin_violation,
    penalty_lagrangian,
)
from cals_mm.functional.margin_penalty import penalty_and_share
from tests.functional.loss_cases import TOLERANCES, needs_native

BACKENDS = ["eager", "chunked", pytest.param("native", marks=needs_native)]


def inputs(seed, shape, dtype, share, layout="dense"):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(shape, generator=generator) * 6).to(dtype)
    if seed % 2:
        logits = logits.round()  # ties for the maximum, distances equal to the margin
    if layout == "last":
        logits = logits.movedim(1, -1).contiguous().movedim(-1, 1)
    multipliers = torch.rand(shape[1], generator=generator) * 2
    rho = torch.rand(shape[1], generator=generator) * 9 + 1
    mask = None
    if share is not None:
        mask = torch.rand((shape[0], *shape[2:]), generator=generator) < share
        logits.movedim(1, -1)[~mask] = float("nan")
    return logits, multipliers, rho, mask


def expected(logits, multipliers, rho, margin, kind, mask):
    """Value, share of violated constraints and gradient, in float64."""
    wide = logits.detach().double()
    clean = wide if mask is None else torch.where(mask.unsqueeze(1), wide, 0.0)
    clean.requires_grad_()
    violation = margin_violation(clean, margin)
    value, _ = penalty_lagrangian(violation, multipliers.double(), rho.double(), kind, dim=1)
    keep = torch.ones_like(value[:, :1]) if mask is None else mask.unsqueeze(1).double()
    count = max(1.0, keep.sum().item() * logits.shape[1])
    penalty = (value * keep).sum() / count
    penalty.backward()
    return penalty.detach(), ((violation > 0) * keep).sum().item() / count, clean.grad


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from(
        [(50, 7), (2, 19, 40, 70), (3, 300, 4, 4), (40, 4, 3, 3), (1, 2), (70, 1000), (3, 65)]
    ),
    dtype=st.sampled_from(list(TOLERANCES)),
    kind=st.sampled_from(PENALTIES),
    share=st.sampled_from([None, 0.0, 0.7, 1.0]),
    layout=st.sampled_from(["dense", "last"]),
    backend=st.sampled_from(["auto", "chunked"]),
    incoming=st.sampled_from([1.0, -2.5]),
)
def test_penalty_is_the_one_of_the_definition(
    seed, shape, dtype, kind, share, layout, backend, incoming
):
    logits, multipliers, rho, mask = inputs(seed, shape, dtype, share, layout)
    exact, exact_share, exact_gradient = expected(logits, multipliers, rho, 4.0, kind, mask)
    logits.requires_grad_()
    with patch.dict(os.environ, CALS_MM_BACKEND=backend):
        penalty, violated = penalty_and_share(logits, multipliers, rho, 4.0, kind=kind, mask=mask)
    (penalty * incoming).backward()
    assert penalty.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    rounding = 1e-11 if dtype == torch.float64 else 1e-5
    assert abs(penalty.item() - exact.item()) <= rounding * (1 + abs(exact.item()))
    assert violated.item() == pytest.approx(exact_share, abs=1e-6)
    samples = logits.numel() // shape[1]
    if dtype == torch.float16 and exact_gradient.abs().max() * samples > 3e4:
        return  # a sample's gradient is beyond the largest float16
    error = (logits.grad.double() - exact_gradient * incoming).norm()
    assert logits.grad.dtype == dtype
    # The numbers nearest to 0 lie so far apart.
    spacing = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    rounding = spacing * logits.numel() ** 0.5
    assert error <= TOLERANCES[dtype] * exact_gradient.norm() * abs(incoming) + rounding


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_the_penalty_of_the_loss(backend, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", backend)
    logits, multipliers, rho, _ = inputs(0, (3, 19, 20, 30), torch.float32, None)
    target = torch.randint(0, 19, (3, 20, 30))
    target[0, :7] = 255
    _, parts = cals_loss(logits, target, multipliers, rho, 5.0, ignore_index=255, return_parts=True)
    penalty, violated = penalty_and_share(logits, multipliers, rho, 5.0, mask=target != 255)
    torch.testing.assert_close(penalty, parts.penalty)
    torch.testing.assert_close(violated, parts.violated)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_counts(backend, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", backend)
    for shape in ((2, 3), (0, 3, 4)):
        logits = torch.zeros(shape, requires_grad=True)
        mask = torch.zeros((shape[0], *shape[2:]), dtype=torch.bool)
        penalty = margin_penalty(logits, torch.ones(3), torch.ones(3), 1.0, mask=mask)
        penalty.backward()
        assert penalty.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_bad_logit_of_many_shows(backend, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", backend)
    for shape in ((40, 70), (2, 5, 30, 30), (300, 3)):
        logits, multipliers, rho, _ = inputs(0, shape, torch.float32, None)
        logits.view(-1)[logits.numel() // 2] = float("nan")
        assert margin_penalty(logits, multipliers, rho, 2.0).isnan()


@needs_native
@pytest.mark.parametrize("shape", [(2, 19, 160, 200), (700, 1000)])
def test_threads_do_not_change_a_bit(shape):
    logits, multipliers, rho, _ = inputs(0, shape, torch.float32, None)
    logits.requires_grad_()
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            penalty = margin_penalty(logits, multipliers, rho, 2.0)
            results.append((penalty.detach(), torch.autograd.grad(penalty, logits)[0]))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"logits": torch.zeros(2, 1)}, "logits have 1 channel"),
        ({"logits": torch.zeros(2, 3, dtype=torch.long)}, "logits must be floating"),
        ({"multipliers": torch.zeros(4)}, "multipliers have shape"),
        ({"rho": torch.zeros(2, 3)}, "rho have shape"),
        ({"margin": 0.0}, "margin must be a positive"),
        ({"kind": "p4"}, "unknown penalty 'p4'"),
        ({"mask": torch.ones(3, dtype=torch.bool)}, r"mask must be bool of shape \(2,\)"),
        ({"mask": torch.ones(2)}, r"mask must be bool of shape \(2,\), got torch.float32"),
    ],
)
def test_bad_input_is_named(change, message):
    given_ = {
        "logits": torch.zeros(2, 3),
        "multipliers": torch.ones(3),
        "rho": torch.ones(3),
        "margin": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        margin_penalty(**{**given_, **change})
