"""Violation and penalties against the reference implementation, autograd and float64."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cals_mm.functional import PENALTIES, margin_violation, penalty_lagrangian

# Computed by the reference implementation, github.com/by-liu/CALS, commit d72b31f.
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "penalty.json").read_text("utf-8"))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['penalty']}-m{c['margin']}")
def test_penalty_is_the_reference_one(case, dtype, tolerance):
    logits = torch.tensor(case["logits"], dtype=dtype, requires_grad=True)
    multipliers, rho = (torch.tensor(case[key], dtype=dtype) for key in ("multipliers", "rho"))
    violation = margin_violation(logits, case["margin"])
    value, _ = penalty_lagrangian(violation, multipliers, rho, case["penalty"], dim=1)
    value.mean().backward()
    assert violation.mean().item() == pytest.approx(case["constraint_mean"], rel=tolerance)
    assert value.mean().item() == pytest.approx(case["penalty_mean"], rel=tolerance)
    expected = torch.tensor(case["grad_logits"], dtype=dtype)
    torch.testing.assert_close(logits.grad, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", PENALTIES)
def test_closed_form_derivative_is_autograds(kind):
    generator = torch.Generator().manual_seed(0)
    violation = torch.randn(200, 6, dtype=torch.float64, generator=generator) * 3
    violation[:20] = violation[:20].round()  # h = 0, where the branches meet, and h = -1
    violation.requires_grad_()
    multipliers = torch.rand(6, dtype=torch.float64, generator=generator) * 4
    rho = torch.rand(6, dtype=torch.float64, generator=generator) + 0.5
    value, derivative = penalty_lagrangian(violation, multipliers, rho, kind)
    (gradient,) = torch.autograd.grad(value.sum(), violation)
    torch.testing.assert_close(derivative, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", PENALTIES)
def test_float32_is_close_to_float64_for_a_thousand_classes(kind):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(64, 1000, generator=generator) * 6
    multipliers, rho = torch.rand(1000, generator=generator), torch.rand(1000) + 0.5
    wide = penalty_lagrangian(margin_violation(logits.double(), 10.0), multipliers, rho, kind)
    narrow = penalty_lagrangian(margin_violation(logits, 10.0), multipliers, rho, kind)
    for exact, rounded in zip(wide, narrow):
        assert (exact - rounded).norm() < 1e-6 * exact.norm()


@pytest.mark.parametrize("multiplier", [1e-6, 1.0, 1e6])
def test_phr_loses_nothing_to_cancellation(multiplier):
    violation = torch.tensor([0.3, -0.3, 1e-3])
    multipliers, rho = torch.full((3,), multiplier), torch.ones(3)
    value, _ = penalty_lagrangian(violation, multipliers, rho)
    exact, _ = penalty_lagrangian(violation.double(), multipliers.double(), rho.double())
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=0)


def test_violation_ignores_a_common_shift():
    logits = torch.randn(4, 5, dtype=torch.float64)
    shifted = margin_violation(logits.log_softmax(1), 3.0)
    torch.testing.assert_close(shifted, margin_violation(logits, 3.0))


@pytest.mark.parametrize("margin", [0, -1.0, float("inf"), float("nan"), True])
def test_bad_margin_is_named(margin):
    with pytest.raises(ValueError, match=f"positive finite number.*{margin}"):
        margin_violation(torch.zeros(1, 2), margin)


def test_unknown_penalty_is_named():
    with pytest.raises(ValueError, match="unknown penalty 'phrr'; choose one of phr"):
        penalty_lagrangian(torch.zeros(2), torch.ones(2), torch.ones(2), "phrr")
