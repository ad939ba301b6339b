from itertools import product

import pytest
import torch
from torch import Tensor

from cals_mm.functional.mmce import maximum_mean_calibration_error

FORMS = ["squared", "root", "weighted"]


def value_of(square: Tensor, form: str) -> Tensor:
    return square if form == "squared" else square.sqrt()


def double_sum(confidence: Tensor, correct: Tensor, form: str, width: float) -> Tensor:
    """The paper's estimators as they stand there, over all N x N pairs: the squares."""
    kernel = torch.exp(-(confidence[:, None] - confidence[None]).abs() / width)
    right = correct.to(confidence.dtype)
    if form != "weighted":
        residual = right - confidence
        return (residual[:, None] * residual[None] * kernel).sum() / len(correct) ** 2
    wrong, total = 1 - right, confidence.sum() * 0
    lower, upper = confidence * wrong, (1 - confidence) * right
    m, n = wrong.sum(), right.sum()
    if m and n:
        total = total + (lower[:, None] * lower[None] * kernel).sum() / m**2
        total = total + (upper[:, None] * upper[None] * kernel).sum() / n**2
        total = total - 2 * (upper[:, None] * lower[None] * kernel).sum() / (m * n)
    return total


def batch(number: int, seed: int = 0, ties: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    confidence = torch.rand(number, generator=generator, dtype=torch.float64)
    if ties:
        confidence = (confidence * 7).round() / 7
    return confidence.requires_grad_(), torch.rand(number, generator=generator) < 0.6


@pytest.mark.parametrize("width", [0.4, 0.05])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_equals_the_double_sum(form: str, ties: bool, width: float) -> None:
    confidence, correct = batch(83, ties=ties)
    expected = value_of(double_sum(confidence, correct, form, width), form)
    value = maximum_mean_calibration_error(confidence, correct, form=form, kernel_width=width)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)
    wanted, slope = (torch.autograd.grad(result, confidence)[0] for result in (expected, value))
    torch.testing.assert_close(slope, wanted, rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("hits", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_one_group_alone(form: str, hits: bool) -> None:
    """The weighted form is 0 then, so that a batch without errors is left alone."""
    confidence, correct = batch(20)
    correct.fill_(hits)
    value = maximum_mean_calibration_error(confidence, correct, form=form)
    (slope,) = torch.autograd.grad(value, confidence)
    if form == "weighted":
        assert value == 0 and slope.count_nonzero() == 0
        return
    expected = value_of(double_sum(confidence, correct, form, 0.4), form)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_gradient(form: str) -> None:
    confidence, correct = batch(12, seed=1)
    assert torch.autograd.gradcheck(
        lambda r: maximum_mean_calibration_error(r, correct, form=form), confidence
    )


def test_a_single_sample_has_the_size_of_its_residual() -> None:
    one = torch.tensor([0.7]), torch.tensor([False])
    root, squared = (
        maximum_mean_calibration_error(*one, form=form) for form in ("root", "squared")
    )
    torch.testing.assert_close(root, torch.tensor(0.7))
    torch.testing.assert_close(squared, torch.tensor(0.49))


def test_perfect_and_empty_batches_have_no_gradient() -> None:
    for number, form in product((5, 0), FORMS):
        confidence = torch.ones(number, requires_grad=True)
        correct = torch.ones(number, dtype=torch.bool)
        value = maximum_mean_calibration_error(confidence, correct, form=form)
        value.backward()
        assert value == 0
        assert (confidence.grad == 0).all()


def test_float32_of_many_samples_keeps_its_digits() -> None:
    confidence, correct = batch(200_000)
    value = maximum_mean_calibration_error(confidence.float(), correct)
    assert value.dtype == torch.float32
    exact = maximum_mean_calibration_error(confidence, correct)
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=0)


def test_bad_arguments_are_named() -> None:
    confidence, correct = batch(3)
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        maximum_mean_calibration_error(confidence, correct[:2])
    with pytest.raises(ValueError, match="'weighted', got 'cubed'"):
        maximum_mean_calibration_error(confidence, correct, form="cubed")
    with pytest.raises(ValueError, match=r"kernel_width .* 0.001"):
        maximum_mean_calibration_error(confidence, correct, kernel_width=0.001)
