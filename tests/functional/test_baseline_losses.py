"""Closed forms and gradients of the functions behind the losses CALS is compared with."""

import math

import pytest
import torch

from cals_mm.functional._samples import as_samples
from cals_mm.functional.acls import acls_penalty
from cals_mm.functional.brier import brier_loss
from cals_mm.functional.entropy import entropy_penalty_loss
from cals_mm.functional.focal import focal_loss, sample_dependent_gamma


def double(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return (3 * torch.randn(*shape, dtype=torch.float64)).requires_grad_(True)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 3.0])
def test_focal_gradient(gamma: float) -> None:
    target = torch.tensor([0, 1, 2])
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, target, gamma), double(3, 4))


def test_focal_of_one_half() -> None:
    value = focal_loss(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([1]), 3.0)
    assert value.item() == pytest.approx(0.5**3 * math.log(2), rel=1e-12)


def test_focal_of_a_certain_sample_is_exact_and_its_gradient_finite() -> None:
    logits = torch.tensor([[20.0, 0.0], [200.0, 0.0]], requires_grad=True)
    values = focal_loss(logits, torch.tensor([0, 0]), 0.5)
    values.sum().backward()
    assert values[1] == 0
    assert logits.grad.isfinite().all()


def test_gamma_by_probability() -> None:
    p = torch.tensor([0.0, 0.1999, 0.2, 0.4999, 0.5, 1.0])
    gamma = sample_dependent_gamma(p, 1.0, (0.2, 0.5), (5.0, 3.0))
    assert gamma.tolist() == [5.0, 5.0, 3.0, 3.0, 1.0, 1.0]


def test_acls_moves_each_logit_by_its_own_term() -> None:
    z = torch.tensor([[7.0, 1.0, 4.5, 0.0]], dtype=torch.float64, requires_grad=True)
    acls_penalty(z, 3.0, predicted_weight=2.0, others_weight=0.6).sum().backward()
    expected = [2 * 2.0 * (7 - 3), -2 * 0.2 * (7 - 1 - 3), 0.0, -2 * 0.2 * (7 - 0 - 3)]
    torch.testing.assert_close(z.grad, torch.tensor([expected], dtype=torch.float64))


def test_acls_is_zero_within_the_margin() -> None:
    z = torch.tensor([[3.0, 1.0, 0.0], [-2.0, -5.0, -4.0]], requires_grad=True)
    value = acls_penalty(z, 3.0)
    value.sum().backward()
    assert value.tolist() == [0.0, 0.0]
    assert z.grad.count_nonzero() == 0


def test_acls_predicts_all_of_the_largest() -> None:
    z = torch.tensor([[5.0, 5.0, 0.0]], requires_grad=True)
    value = acls_penalty(z, 3.0, others_weight=0.0)
    value.sum().backward()
    assert value.tolist() == [8.0]
    assert z.grad.tolist() == [[4.0, 4.0, 0.0]]


def plain_acls(z: torch.Tensor, margin: float) -> torch.Tensor:
    top = z.amax(1, keepdim=True)
    first = (top - margin).relu().square().squeeze(1)
    return first + 0.1 * (top.detach() - z - margin).relu().square().sum(1) / (z.shape[1] - 1)


def test_acls_of_pixels_in_tiles() -> None:
    torch.manual_seed(0)
    z = (6 * torch.randn(2, 19, 130, 120, dtype=torch.float64)).requires_grad_()
    weight = torch.rand(2, 130, 120)
    values = [acls_penalty(z, 3.0), plain_acls(z, 3.0)]
    slopes = [torch.autograd.grad((value * weight).sum(), z)[0] for value in values]
    torch.testing.assert_close(*values, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", [brier_loss, entropy_penalty_loss])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients(loss, soft: bool) -> None:
    target = torch.rand(3, 4, 2, dtype=torch.float64).softmax(1)
    target = target if soft else target.argmax(1)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), double(3, 4, 2))


def test_brier_of_a_nearly_certain_sample_keeps_its_digits() -> None:
    logits = torch.tensor([[12.0, 0.0]])
    exact = 2 * torch.sigmoid(torch.tensor(-12.0, dtype=torch.float64)) ** 2
    value = brier_loss(logits, torch.tensor([0]))
    torch.testing.assert_close(value.double(), exact[None], rtol=2e-2, atol=0)


def test_entropy_of_a_certain_prediction_is_zero() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4]])
    assert entropy_penalty_loss(logits, torch.tensor([0]), weight=5.0).item() == 0
    uniform = entropy_penalty_loss(torch.zeros(1, 3), torch.tensor([0]), weight=5.0)
    torch.testing.assert_close(uniform, torch.tensor([-4 * math.log(3)]))


def test_samples_widen_check_and_mask() -> None:
    samples = as_samples(torch.zeros(3, 2, dtype=torch.float16), torch.tensor([1, 255, 0]), 255)
    assert samples.logits.dtype == torch.float32
    assert samples.target.tolist() == [1, 0, 0]
    assert samples.valid.tolist() == [True, False, True]
    values = torch.tensor([1.0, float("inf"), 3.0])
    assert samples.mean(values) == 2.0
    assert samples.mean(values, torch.tensor([1.0, float("nan"), 0.5]), avg_factor=5) == 0.5
    assert as_samples(torch.zeros(3, 2), torch.tensor([1, 1, 0]), 255).valid is None
    with pytest.raises(ValueError, match="label 255"):
        as_samples(torch.zeros(3, 2), torch.tensor([1, 255, 0]), None)
