"""The sums of a validation: their values, and that only the samples decide on them."""

from __future__ import annotations

import os
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cals_mm.functional import PENALTIES, margin_violation, penalty_lagrangian
from cals_mm.functional._dual import dual_sums


def expected(logits, multipliers, rho, margin, kind, mask, lambda_min=1e-6, lambda_max=1e6):
    rows = logits.double().movedim(1, -1).reshape(-1, logits.shape[1])
    if mask is not None:
        rows = rows[mask.reshape(-1)]
    violation = margin_violation(rows, margin)
    _, slope = penalty_lagrangian(violation, multipliers.double(), rho.double(), kind)
    return len(rows), slope.clamp(lambda_min, lambda_max).sum(0), violation.sum(0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from([(50, 7), (2, 19, 40, 70), (3, 300, 4, 4), (40, 4, 3, 3), (1, 2)]),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
    kind=st.sampled_from(PENALTIES),
    share=st.sampled_from([None, 0.0, 0.7, 1.0]),
    last=st.booleans(),
    lambda_max=st.sampled_from([1.5, 1e6]),
    backend=st.sampled_from(["auto", "eager"]),
)
def test_sums_are_those_of_the_definition(
    seed, shape, dtype, kind, share, last, lambda_max, backend
):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(shape, generator=generator) * 6).to(dtype)
    multipliers = torch.rand(shape[1], generator=generator) * 2
    rho = torch.rand(shape[1], generator=generator) * 9 + 1
    mask = None
    dirty = logits.clone()
    if share is not None:
        mask = torch.rand((shape[0], *shape[2:]), generator=generator) < share
        dirty.movedim(1, -1)[~mask] = float("nan")
    if last:
        dirty = dirty.movedim(1, -1).contiguous().movedim(-1, 1)
    with patch.dict(os.environ, CALS_MM_BACKEND=backend):
        count, slope, violation = dual_sums(
            dirty, multipliers, rho, 4.0, kind=kind, mask=mask, lambda_max=lambda_max
        )
    exact = expected(logits, multipliers, rho, 4.0, kind, mask, lambda_max=lambda_max)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    assert count.item() == exact[0]
    assert slope.dtype == violation.dtype == torch.float64
    torch.testing.assert_close(slope, exact[1], rtol=tolerance, atol=tolerance)
    scale = 1 + exact[2].abs().max().item()
    torch.testing.assert_close(violation, exact[2], rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("shape", [(37, 11), (5, 19, 61, 67), (7, 300, 3, 3)])
def test_parts_add_up_however_samples_are_spread(shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator) * 6
    mask = torch.rand((shape[0], *shape[2:]), generator=generator) < 0.8
    multipliers, rho = torch.rand(shape[1], generator=generator), torch.ones(shape[1])
    whole = dual_sums(logits, multipliers, rho, 5.0, mask=mask)
    for size in (1, 2, 3):
        parts = [
            dual_sums(part, multipliers, rho, 5.0, mask=keep)
            for part, keep in zip(logits.split(size), mask.split(size))
        ]
        for total, pieces in zip(whole, zip(*parts)):
            torch.testing.assert_close(sum(pieces), total, rtol=1e-12, atol=1e-12)


def test_threads_do_not_change_a_bit():
    logits = torch.randn(2, 19, 200, 200)
    ones = torch.ones(19)
    threads = torch.get_num_threads()
    try:
        results = []
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(dual_sums(logits, ones, ones, 2.0))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_logits_show_unless_masked(value):
    logits = torch.zeros(3, 4, 5)
    logits[1, 2, 3] = value
    ones, mask = torch.ones(4), torch.ones(3, 5, dtype=torch.bool)
    mask[0] = False
    _, slope, violation = dual_sums(logits, ones, ones, 1.0, mask=mask)
    assert not (torch.isfinite(slope) & torch.isfinite(violation)).all()
    mask[1, 3] = False
    _, slope, violation = dual_sums(logits, ones, ones, 1.0, mask=mask)
    assert (torch.isfinite(slope) & torch.isfinite(violation)).all()


def test_no_samples():
    count, slope, violation = dual_sums(torch.zeros(0, 3), torch.ones(3), torch.ones(3), 1.0)
    assert count.item() == 0 and slope.shape == violation.shape == (3,)
