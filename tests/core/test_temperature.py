import pytest
import torch
import torch.nn.functional as F

from cals_mm.core import TemperatureScaler


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0, 2.0, 8.0])
def test_recovers_a_known_temperature(temperature: float) -> None:
    torch.manual_seed(0)
    calibrated = 2 * torch.randn(100_000, 5)
    target = torch.distributions.Categorical(logits=calibrated).sample()
    scaler = TemperatureScaler().fit(temperature * calibrated, target)
    assert scaler.temperature.item() == pytest.approx(temperature, rel=0.01)


def test_never_makes_the_likelihood_worse_and_keeps_predictions() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        logits = 10 ** torch.randn(1).item() * torch.randn(200, 4)
        target = torch.randint(0, 4, (200,))
        scaler = TemperatureScaler().fit(logits, target)
        before, after = F.cross_entropy(logits, target), F.cross_entropy(scaler(logits), target)
        assert after <= before + 1e-6
        assert torch.equal(scaler(logits).argmax(1), logits.argmax(1))


def test_ends_at_a_bound_where_every_sample_is_right() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    scaler = TemperatureScaler(minimum=0.1).fit(logits, torch.tensor([0, 1]))
    assert scaler.temperature.item() == pytest.approx(0.1, rel=1e-3)
    scaler = TemperatureScaler(maximum=50.0).fit(logits, torch.tensor([1, 0]))
    assert scaler.temperature.item() == pytest.approx(50.0, rel=1e-3)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="0 < minimum"):
        TemperatureScaler(minimum=0.0)
    with pytest.raises(ValueError, match=r"N > 0, got \(0, 3\)"):
        TemperatureScaler().fit(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="NaN or Inf"):
        TemperatureScaler().fit(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
