import math

import pytest
import torch

from cals_mm.core import TemperatureScaler


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0, 2.0, 8.0])
def test_recovers_a_known_temperature(temperature: float) -> None:
    torch.manual_seed(0)
    calibrated = 2 * torch.randn(100_000, 5)
    target = torch.distributions.Categorical(logits=calibrated).sample()
    scaler = TemperatureScaler().fit(temperature * calibrated, target)
    assert scaler.temperature.item() == pytest.approx(temperature, rel=0.01)


def test_ends_at_a_bound_where_every_sample_is_right() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    scaler = TemperatureScaler(minimum=0.1).fit(logits, torch.tensor([0, 1]))
    assert scaler.temperature.item() == pytest.approx(0.1, rel=1e-3)
    scaler = TemperatureScaler(maximum=50.0).fit(logits, torch.tensor([1, 0]))
    assert scaler.temperature.item() == pytest.approx(50.0, rel=1e-3)


def test_bad_input_is_named() -> None:
    for bounds in ((0.0, 2.0), (2.0, 3.0), (0.1, 0.5), (1.0, 1.0), (0.5, float("inf"))):
        with pytest.raises(ValueError, match="0 < minimum"):
            TemperatureScaler(*bounds)


def test_where_nothing_is_left_to_gain_the_temperature_stays_1() -> None:
    # Saturated: in float64 too the likelihood is perfect, whatever the temperature.
    logits = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
    scaler = TemperatureScaler().fit(logits, torch.tensor([0, 1]))
    assert scaler.temperature.item() == 1


def test_scales_huge_logits_with_errors_among_them() -> None:
    logits = torch.tensor([[1e4, 0.0]]).repeat(4, 1)
    scaler = TemperatureScaler(maximum=1e5).fit(logits, torch.tensor([0, 0, 0, 1]))
    # Three of four are right, so sigmoid(1e4 / T) is 3/4.
    assert scaler.temperature.item() == pytest.approx(1e4 / math.log(3), rel=1e-5)
