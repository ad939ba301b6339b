"""A scaling moves into the layer that makes the logits, or is refused."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cals_mm.core import TemperatureScaler, VectorScaler
from cals_mm.posthoc.folding import check_folded, final_layer, fold_, fold_model_, repeatable


class Pixels(nn.Module):
    """A convolutional classifier with an auxiliary one that has as many outputs."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.conv_seg = nn.Conv2d(4, 4, 1, bias=bias)
        self.auxiliary_head = nn.Conv2d(4, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits = self.conv_seg(self.conv(image).relu())
        return F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)


class TwoLayers(nn.Module):
    """Logits are the mean of two layers' outputs, as in distilled transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.head_dist = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return (self.head(x) + self.head_dist(x)) / 2


class Cosine(nn.Linear):
    """The length of the weights has no effect."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, F.normalize(self.weight))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def reader(model: nn.Module, *shape: int):
    x = torch.randn(2, *shape)
    return lambda: list(model(x).detach())


def vector(num_classes: int) -> VectorScaler:
    scaler = VectorScaler(num_classes)
    scaler.weight.uniform_(0.2, 2)
    scaler.bias.normal_()
    return scaler


def test_the_layer_is_found_and_the_folded_logits_are_the_scaled_ones() -> None:
    model = Pixels()
    read = reader(model, 3, 6, 6)
    before = read()
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    assert final_layer(model, read) == "conv_seg"
    for key, value in model.state_dict().items():
        assert torch.equal(value, saved[key]), key

    scaler = vector(4)
    fold_(model.conv_seg.weight, model.conv_seg.bias, scaler)
    check_folded(read, before, scaler)
    for new, old in zip(read(), before):
        torch.testing.assert_close(new, scaler(old[None])[0])
    with pytest.raises(ValueError, match="differ from the scaled ones by .*e[+-]"):
        check_folded(read, before, vector(4))


def test_a_layer_without_bias_takes_a_temperature_but_no_vector() -> None:
    model = Pixels(bias=False)
    read = reader(model, 3, 6, 6)
    before = read()
    assert final_layer(model, read) == "conv_seg"
    with pytest.raises(ValueError, match="has no bias, which method 'vector' needs"):
        fold_(model.conv_seg.weight, None, vector(4))
    scaler = TemperatureScaler()
    scaler.temperature.fill_(2.5)
    fold_(model.conv_seg.weight, None, scaler)
    check_folded(read, before, scaler)


@pytest.mark.parametrize(
    ("model", "tried"),
    [
        (TwoLayers(), "tried head_dist, head"),
        (nn.Sequential(Cosine(3, 4)), "tried 0"),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), "tried 0"),
        (nn.Flatten(), "no layer has 3 outputs"),
    ],
)
def test_other_models_are_refused(model: nn.Module, tried: str) -> None:
    with pytest.raises(ValueError, match=f"cannot fold .*{tried}.*conv_seg"):
        final_layer(model, reader(model, 3))


class Noisy(Pixels):
    """Draws random numbers in every forward pass, also in evaluation."""

    source = "torch"

    def forward(self, image: Tensor) -> Tensor:
        draw = {
            "torch": lambda: float(torch.rand(())),
            "numpy": lambda: float(np.random.rand()),  # noqa: NPY002
            "python": random.random,
        }[self.source]
        return super().forward(image + draw())


@pytest.mark.parametrize("source", ["torch", "numpy", "python"])
def test_a_model_that_draws_random_numbers(source: str) -> None:
    model = Noisy().eval()
    model.source = source
    read = reader(model, 3, 5, 6)
    state = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    layer = final_layer(model, read)
    assert layer == "conv_seg"
    scaler = VectorScaler(4)
    scaler.weight.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
    fold_model_(model, layer, scaler, read)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(state[0], after[0]) and state[1:] == after[1:]
    before = repeatable(read)()
    with torch.no_grad():
        model.conv_seg.weight *= 3
    with pytest.raises(ValueError, match="differ from the scaled ones"):
        check_folded(read, before, scaler)
