import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cals_mm.functional.pairwise import binary_discrimination, binary_exclusion


def all_pairs(row: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """Both constraints of one sample, from its K x K matrix of two-class log-posteriors."""
    posterior = F.logsigmoid(row[:, None] - row[None])
    other = torch.arange(len(row)) != label
    pairs = other[:, None] & other[None] & ~torch.eye(len(row), dtype=torch.bool)
    discrimination = -posterior[label, other].mean()
    return discrimination, -0.5 * posterior[pairs].sum() / max(int(pairs.sum()), 1)


def batch(classes: int, shape: tuple[int, ...] = (2, 3), seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(2, classes, *shape, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(0, classes, (2, *shape), generator=generator)


@pytest.mark.parametrize("classes", [2, 3, 4, 7, 70])
@pytest.mark.parametrize("layout", ["planar", "channels_last", "rows"])
def test_equals_all_pairs(classes: int, layout: str) -> None:
    logits, target = batch(classes, (2, 3) if layout != "rows" else ())
    given = logits.to(memory_format=torch.channels_last) if layout == "channels_last" else logits
    rows = logits.movedim(1, -1).reshape(-1, classes)
    pairs = [all_pairs(row, int(label)) for row, label in zip(rows, target.flatten(), strict=True)]
    generator = torch.Generator().manual_seed(1)
    weight = torch.rand(target.shape, generator=generator, dtype=torch.float64)
    for number, function in enumerate((binary_discrimination, binary_exclusion)):
        expected = torch.stack([pair[number] for pair in pairs]).view(target.shape)
        value = function(given, target)
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
        slopes = [
            torch.autograd.grad((weight * result).sum(), logits, retain_graph=True)[0]
            for result in (value, expected)
        ]
        torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", [binary_discrimination, binary_exclusion])
def test_gradient(function) -> None:
    logits, target = batch(5)
    assert torch.autograd.gradcheck(lambda z: function(z, target), logits)


def test_many_tiles_equal_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 11, 200, 190, generator=generator).requires_grad_()
    target = torch.randint(0, 11, (2, 200, 190), generator=generator)
    value = binary_exclusion(logits, target)
    value.sum().backward()
    for image, row in ((0, 0), (1, 137), (1, 199)):
        part = logits.detach()[image, :, row].T.contiguous().requires_grad_()
        single = binary_exclusion(part, target[image, row])
        single.sum().backward()
        torch.testing.assert_close(value[image, row], single)
        torch.testing.assert_close(logits.grad[image, :, row].T, part.grad)


def test_equal_logits_are_the_least_exclusion() -> None:
    logits = torch.zeros(1, 6, requires_grad=True)
    value = binary_exclusion(logits, torch.tensor([2]))
    assert value.item() == pytest.approx(math.log(2) / 2)
    value.sum().backward()
    assert (logits.grad == 0).all()


def test_the_label_takes_no_part_in_the_exclusion() -> None:
    logits, target = batch(5)
    logits = logits.detach()
    other = logits.scatter(1, target[:, None], 1e6)
    assert torch.equal(binary_exclusion(other, target), binary_exclusion(logits, target))


@pytest.mark.parametrize("function", [binary_discrimination, binary_exclusion])
def test_extreme_logits_stay_finite(function) -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0, 5e3]], requires_grad=True)
    for label in range(4):
        value = function(logits, torch.tensor([label]))
        (slope,) = torch.autograd.grad(value.sum(), logits)
        assert torch.isfinite(value).all() and torch.isfinite(slope).all()


def test_no_gradient_is_made_where_none_is_wanted() -> None:
    logits, target = batch(4)
    with torch.no_grad():
        assert not binary_exclusion(logits, target).requires_grad
    assert binary_exclusion(logits[:0], target[:0]).shape == (0, 2, 3)
