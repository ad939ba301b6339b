import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm import AdaFocalLoss
from cals_mm.functional.focal import focal_weighted


def samples(count: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 4, (count,), generator=generator)


def trained(**changes) -> AdaFocalLoss:
    """A loss whose bins hold focal and inverse focal losses."""
    loss = AdaFocalLoss(num_bins=4, **changes).double()
    loss.focus.gamma.copy_(torch.tensor([-2.0, -0.2, 0.5, 7.0]))
    loss.focus.edges.copy_(torch.tensor([0.1, 0.3, 0.8]))
    return loss


def plain(logits: Tensor, target: Tensor) -> Tensor:
    """Sample by sample, with the bin found by comparison."""
    losses = []
    for row, label in zip(logits, target, strict=True):
        p = row.softmax(0)[label]
        if p < 0.1:
            factor = (1 + p) ** 2.0
        elif p < 0.3:
            factor = (1 + p) ** 0.2
        elif p < 0.8:
            factor = (1 - p) ** 0.5
        else:
            factor = (1 - p) ** 7.0
        losses.append(-factor * p.log())
    return torch.stack(losses)


def test_value_and_gradient_in_every_bin() -> None:
    logits, target = samples()
    p = logits.softmax(1).gather(1, target[:, None])
    counts = torch.bucketize(p, torch.tensor([0.1, 0.3, 0.8], dtype=torch.float64)).unique()
    assert len(counts) == 4, "every bin is asked for"
    logits.requires_grad_(True)
    loss, expected = trained(), plain(logits, target)
    each = loss(logits, target, reduction_override="none")
    torch.testing.assert_close(each, expected, rtol=1e-6, atol=0)
    value = loss(logits, target)
    torch.testing.assert_close(value, expected.mean(), rtol=1e-6, atol=0)
    wanted, slope = (torch.autograd.grad(result, logits)[0] for result in (expected.mean(), value))
    torch.testing.assert_close(slope, wanted, rtol=1e-6, atol=1e-10)
    assert loss.last_parts.cross_entropy > 0 and -2 < loss.last_parts.gamma < 7


def test_gradient() -> None:
    logits, target = samples(6)
    loss = trained()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_(True))


@pytest.mark.parametrize("gamma", [-2.0, -0.2, 0.2, 0.5, 20.0])
def test_extreme_logits_are_finite(gamma: float) -> None:
    loss = AdaFocalLoss(num_bins=1, gamma_init=gamma)
    logits = (1e4 * torch.eye(4)).requires_grad_(True)
    for target in (torch.arange(4), torch.arange(4).roll(1)):
        value = loss(logits, target)
        (slope,) = torch.autograd.grad(value, logits)
        assert value.isfinite() and slope.isfinite().all()


def test_gamma_of_both_signs() -> None:
    entropy = torch.tensor([0.5, 2.0], dtype=torch.float64)
    p = (-entropy).exp()
    value = focal_weighted(entropy, torch.tensor([3.0, -1.5], dtype=torch.float64))
    expected = torch.stack([(1 - p[0]) ** 3 * 0.5, (1 + p[1]) ** 1.5 * 2.0])
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(focal_weighted(entropy, 3.0)[0], expected[0])


def test_void_pixels_count_for_nothing() -> None:
    logits, target = samples(48)
    image = logits.view(2, 4, 6, 4).permute(0, 3, 1, 2)
    label = target.view(2, 4, 6).clone()
    label[:, 1:3, :2] = 255
    keep = (label != 255).flatten()
    loss = trained()
    value = loss(image, label, ignore_index=255)
    torch.testing.assert_close(value, loss(logits[keep], target[keep]))
    every = image.clone()
    every.movedim(1, -1)[label == 255] = 1e30
    torch.testing.assert_close(loss(every, label, ignore_index=255), value)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="num_bins .* 0"):
        MODELS.build(dict(type="AdaFocalLoss", num_bins=0))
    with pytest.raises(TypeError, match="gamma"):
        MODELS.build(dict(type="AdaFocalLoss", gamma=3.0))
