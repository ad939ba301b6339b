"""What is summed up of each prediction, against whole tensors of torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cals_mm.functional._summaries import EPSILON, Summaries, summarise

LAYOUTS = ["samples", "pixels", "channels last", "many tiles"]


def batch(layout: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = {"samples": (11, 5), "many tiles": (2, 19, 130, 120)}.get(layout, (2, 5, 3, 4))
    logits = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    if layout == "channels last":
        logits = logits.contiguous(memory_format=torch.channels_last)
    labels = (shape[0], *shape[2:])
    target = torch.randint(0, shape[1], labels, generator=generator)
    valid = torch.rand(labels, generator=generator) > 0.3
    return logits.to(dtype).requires_grad_(), target, valid


def plain(logits: Tensor, target: Tensor, valid: Tensor | None) -> Summaries:
    p = logits.softmax(1)
    kept = p if valid is None else p * valid.unsqueeze(1)
    return Summaries(
        F.cross_entropy(logits, target, reduction="none"),
        p.amax(1),
        -(p * (p + EPSILON).log()).sum(1),
        kept.movedim(1, 0).flatten(1).sum(1),
        logits.argmax(1) == target,
    )


def weighted(summaries: Summaries, valid: Tensor | None) -> Tensor:
    """A scalar in which each summary of each sample that counts has a weight of its own."""
    total = torch.zeros((), dtype=torch.float64)
    for number, values in enumerate(summaries[:4]):
        if values is None:
            continue
        weight = torch.rand(values.shape, generator=torch.Generator().manual_seed(number)) - 0.3
        if valid is not None and values.shape == valid.shape:
            values, weight = values[valid], weight[valid]
        total = total + (values * weight).sum()
    return total


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_and_gradient(layout: str, masked: bool) -> None:
    logits, target, valid = batch(layout)
    mask = valid if masked else None
    ours = summarise(logits, target, mask, confidence=True, entropy=True, mass=True)
    expected = plain(logits, target, mask)
    for value, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad(weighted(each, mask), logits)[0] for each in (ours, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wanted", ["confidence", "entropy", "mass"])
def test_each_summary_alone(wanted: str) -> None:
    logits, target, _ = batch("pixels")
    ours = summarise(logits, target, **{wanted: True})
    present = {name for name, value in ours._asdict().items() if value is not None}
    assert present == {"cross_entropy", wanted} | ({"correct"} if wanted == "confidence" else set())
    value = getattr(ours, wanted).square().sum()
    expected = getattr(plain(logits, target, None), wanted).square().sum()
    slopes = [torch.autograd.grad(each, logits)[0] for each in (value, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


def test_gradcheck() -> None:
    logits, target, valid = batch("samples")
    logits, target, valid = logits.detach()[:4].requires_grad_(), target[:4], valid[:4]
    assert torch.autograd.gradcheck(
        lambda z: weighted(
            summarise(z, target, valid, confidence=True, entropy=True, mass=True), valid
        ),
        logits,
    )


def test_samples_that_do_not_count_may_hold_anything() -> None:
    logits, target, valid = batch("pixels", torch.float32)
    dirty = logits.detach().clone()
    dirty.movedim(1, -1)[~valid] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, 0.0])
    dirty.requires_grad_()
    results = []
    for z in (logits, dirty):
        value = weighted(
            summarise(z, target, valid, confidence=True, entropy=True, mass=True), valid
        )
        results.append((value.detach(), torch.autograd.grad(value, z)[0]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_of_equal_logits_the_first_is_predicted_and_all_share_the_gradient() -> None:
    logits = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]], requires_grad=True)
    summaries = summarise(logits, torch.tensor([1, 1]), confidence=True)
    assert summaries.correct.tolist() == [False, True]
    (slope,) = torch.autograd.grad(summaries.confidence.sum(), logits)
    (expected,) = torch.autograd.grad(logits.softmax(1).amax(1).sum(), logits)
    torch.testing.assert_close(slope, expected)


def test_nothing_of_nothing() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    summaries = summarise(logits, torch.zeros(0, dtype=torch.long), confidence=True, mass=True)
    summaries.mass.sum().backward()
    assert summaries.cross_entropy.shape == (0,) and logits.grad.shape == (0, 3)
