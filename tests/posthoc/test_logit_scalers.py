"""What holds for every scaler, and what per-class scaling adds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cals_mm.core import ClassTemperatureScaler, TemperatureScaler, VectorScaler
from cals_mm.posthoc.logit_scaler import LogitScaler


def make(name: str, num_classes: int, **options: float) -> LogitScaler:
    if name == "temperature":
        return TemperatureScaler()
    return {"vector": VectorScaler, "class": ClassTemperatureScaler}[name](num_classes, **options)


every_scaler = pytest.mark.parametrize("name", ["temperature", "vector", "class"])


def nll(logits: Tensor, target: Tensor) -> float:
    return float(F.cross_entropy(logits.double(), target))


@every_scaler
@settings(max_examples=60, deadline=None)
@given(
    num_classes=st.integers(2, 5),
    samples=st.integers(1, 40),
    exponent=st.floats(-3, 4),
    correct=st.sampled_from(["all", "none", "random"]),
    seed=st.integers(0, 10_000),
)
def test_never_worse_and_always_finite(
    name: str, num_classes: int, samples: int, exponent: float, correct: str, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 10**exponent * torch.randn(samples, num_classes, generator=generator)
    target = {
        "all": logits.argmax(1),
        "none": logits.argmin(1),
        "random": torch.randint(0, num_classes, (samples,), generator=generator),
    }[correct]
    scaler = make(name, num_classes).fit(logits, target)
    scaled = scaler(logits.double())
    assert torch.isfinite(scaled).all()
    assert nll(scaled, target) <= nll(logits, target)
    assert (scaler.linear()[0] > 0).all()
    if name == "temperature":
        assert torch.equal(scaled.argmax(1), logits.argmax(1))
        chosen = logits.argmax(1, keepdim=True)
        assert torch.equal(scaler(logits).gather(1, chosen)[:, 0], scaler(logits).amax(1))


@every_scaler
def test_pixels_ignored_labels_masks_and_batches(name: str) -> None:
    torch.manual_seed(0)
    logits = 4 * torch.randn(6, 3, 5, 7)
    target = torch.randint(0, 3, (6, 5, 7))
    target[0, :2] = 255
    mask = torch.rand(6, 5, 7) < 0.8
    valid = mask & (target != 255)
    rows, labels = logits.movedim(1, -1)[valid], target[valid]
    logits.movedim(1, -1)[~valid] = float("nan")

    expected = make(name, 3).fit(rows, labels)
    whole = make(name, 3).fit(logits, target, ignore_index=255, mask=mask)
    parts = list(zip(logits.split(4), target.split(4), mask.split(4), strict=True))
    streamed = make(name, 3).fit_batches(lambda: iter(parts), ignore_index=255)
    for scaler in (whole, streamed):
        for got, wanted in zip(scaler.linear(), expected.linear(), strict=True):
            torch.testing.assert_close(got, wanted)
    assert not torch.allclose(expected.linear()[0], torch.ones(()))
    assert whole(logits).shape == logits.shape


@every_scaler
def test_bad_input_is_named(name: str) -> None:
    logits, target = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
    scaler = make(name, 3)
    with pytest.raises(ValueError, match=r"got \(4, 3\), \(3,\) and None"):
        scaler.fit(logits, target[:3])
    with pytest.raises(ValueError, match="no valid sample"):
        scaler.fit(logits[:0], target[:0])
    with pytest.raises(ValueError, match="no valid sample"):
        scaler.fit(logits, torch.full((4,), 255), ignore_index=255)
    with pytest.raises(ValueError, match="NaN or Inf"):
        scaler.fit(torch.full((4, 3), float("inf")), target)
    with pytest.raises(ValueError, match="labels go from 0 to 255"):
        scaler.fit(logits, torch.tensor([0, 1, 2, 255]))
    batches = iter([(logits, target)])
    with pytest.raises(ValueError, match="anew at each call"):
        scaler.fit_batches(lambda: batches)


@pytest.mark.parametrize("scaler", [VectorScaler, ClassTemperatureScaler])
def test_bad_settings_are_named(scaler: type) -> None:
    with pytest.raises(ValueError, match="at least 2, got 1"):
        scaler(1)
    for l2 in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="l2 must be a positive number"):
            scaler(3, l2=l2)
    with pytest.raises(ValueError, match="logits have 4 classes, the scaler 3"):
        scaler(3).fit(torch.randn(8, 4), torch.arange(8) % 4)


def samples_of(scaler: LogitScaler, count: int = 100_000) -> tuple[Tensor, Tensor]:
    """Logits from whose scaled version the labels are drawn."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(count, scaler.num_classes)
    return logits, torch.distributions.Categorical(logits=scaler(logits)).sample()


def test_vector_scaling_recovers_weights_and_biases() -> None:
    true = VectorScaler(3)
    true.weight.copy_(torch.tensor([0.3, 0.6, 1.2]))
    true.bias.copy_(torch.tensor([1.0, -0.5, -0.5]))  # sum 0, as the penalty makes it
    scaler = VectorScaler(3, l2=1e-7).fit(*samples_of(true))
    torch.testing.assert_close(scaler.weight, true.weight, atol=0, rtol=0.03)
    torch.testing.assert_close(scaler.bias, true.bias, atol=0.03, rtol=0)


def test_class_temperatures_are_recovered() -> None:
    true = ClassTemperatureScaler(3)
    true.temperature.copy_(torch.tensor([4.0, 2.0, 0.8]))
    scaler = ClassTemperatureScaler(3, l2=1e-7).fit(*samples_of(true))
    torch.testing.assert_close(scaler.temperature, true.temperature, atol=0, rtol=0.03)


@pytest.mark.parametrize("name", ["vector", "class"])
def test_a_strong_penalty_gives_the_single_temperature(name: str) -> None:
    true = ClassTemperatureScaler(3)
    true.temperature.copy_(torch.tensor([4.0, 2.0, 3.0]))
    logits, target = samples_of(true, 2000)
    single = TemperatureScaler().fit(logits, target)
    strong = make(name, 3, l2=1e6).fit(logits, target)
    weak = make(name, 3, l2=1e-3).fit(logits, target)
    torch.testing.assert_close(strong.linear()[0], single.linear()[0].expand(3), rtol=1e-4, atol=0)
    assert nll(weak(logits), target) < nll(single(logits), target) < nll(logits, target)


@pytest.mark.parametrize("name", ["vector", "class"])
def test_the_fit_is_the_minimum_that_the_docstring_describes(name: str) -> None:
    torch.manual_seed(0)
    logits, target = 4 * torch.randn(300, 4), torch.arange(300) % 4
    logits[torch.arange(300), target] += 3
    l2 = 0.01
    inverse = 1 / TemperatureScaler().fit(logits, target).temperature.double()
    weight, bias = (part.double() for part in make(name, 4, l2=l2).fit(logits, target).linear())
    change = (weight / inverse - 1).requires_grad_()
    bias = bias.clone().requires_grad_()
    objective = F.cross_entropy(inverse * (1 + change) * logits + bias, target) + l2 * (
        (change - change.log1p()).sum() + bias.square().sum() / 2
    )
    gradients = torch.autograd.grad(objective, [change, bias])
    assert gradients[0].abs().max() < 1e-5
    if name == "vector":
        assert gradients[1].abs().max() < 1e-5
