"""The temperature at which confidence equals accuracy, against closed forms."""

import math

import pytest
import torch

from cals_mm.functional import confidence_temperature


@pytest.mark.parametrize("num_classes", [2, 5, 100])
@pytest.mark.parametrize("accuracy", [0.5, 0.75, 0.99])
@pytest.mark.parametrize("distance", [0.3, 4.0, 30.0])
def test_closed_form(num_classes: int, accuracy: float, distance: float) -> None:
    """1 / (1 + (K - 1) exp(-d / T)) = a, so T = d / log(a (K - 1) / (1 - a))."""
    logits = torch.zeros(7, num_classes, dtype=torch.float64)
    logits[:, 1] = distance
    odds = accuracy * (num_classes - 1) / (1 - accuracy)
    expected = math.inf if odds <= 1 else distance / math.log(odds)
    bounds = (1e-3, 1e3)
    found = confidence_temperature(logits, accuracy, *bounds)
    assert found == pytest.approx(min(expected, 1e3), rel=1e-8)


def test_two_kinds_of_samples() -> None:
    """With x = exp(-1 / T): 1 / (1 + x) + 1 / (1 + x^2) = 2 a, at x = 1 / 2 for a = 11 / 15."""
    logits = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert confidence_temperature(logits, 11 / 15) == pytest.approx(1 / math.log(2), rel=1e-9)


def test_closes_the_gap_and_scales_with_the_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3000, 7, generator=generator)
    found = confidence_temperature(logits, 0.6)
    assert float((logits.double() / found).softmax(1).amax(1).mean()) == pytest.approx(0.6)
    assert confidence_temperature(4 * logits, 0.6) == pytest.approx(4 * found, rel=1e-9)
    assert confidence_temperature(logits - 1000, 0.6) == pytest.approx(found, rel=1e-3)


def test_huge_logits_and_chunks() -> None:
    logits = torch.zeros(300_000, 7)
    logits[:, 3] = 1e4
    expected = 1e4 / math.log(0.9 * 6 / 0.1)
    assert confidence_temperature(logits, 0.9, maximum=1e6) == pytest.approx(expected, rel=1e-8)


def test_bounds() -> None:
    logits = torch.randn(50, 3)
    assert confidence_temperature(logits, 1.0) == 1 / 64
    assert confidence_temperature(logits, 0.1) == 64
    assert confidence_temperature(torch.zeros(5, 3), 0.5) == 1 / 64, "no temperature helps ties"
    assert confidence_temperature(logits, 1.0, minimum=2.0) == 2.0


@pytest.mark.parametrize(
    "logits, accuracy, bounds, message",
    [
        (torch.zeros(0, 3), 0.5, (), "at least one sample, got \\(0, 3\\)"),
        (torch.zeros(2, 3, 4), 0.5, (), "need logits \\(N, K\\)"),
        (torch.zeros(2, 3), 50.0, (), "a fraction in \\[0, 1\\], got 50.0"),
        (torch.zeros(2, 3), 0.5, (2.0, 1.0), "need 0 < minimum <= maximum, got 2.0 and 1.0"),
        (torch.tensor([[float("nan"), 0.0]]), 0.5, (), "hold NaN or Inf"),
    ],
)
def test_bad_arguments(logits, accuracy, bounds, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confidence_temperature(logits, accuracy, *bounds)
