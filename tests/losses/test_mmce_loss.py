import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm import MMCELoss
from cals_mm.functional.mmce import maximum_mean_calibration_error


def samples(count: int = 48) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 5, (count,), generator=generator)


def image() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """An image of (2, 5, 4, 6) with void pixels, and its valid pixels as (N, K)."""
    logits, target = samples()
    label = target.view(2, 4, 6).clone()
    label[:, 1:3, :2] = 255
    keep = (label != 255).flatten()
    return logits.view(2, 4, 6, 5).permute(0, 3, 1, 2), label, logits[keep], target[keep]


def plain(logits: Tensor, target: Tensor, weight: float = 1.0, form: str = "squared") -> Tensor:
    confidence, predicted = logits.softmax(1).max(1)
    hits = (predicted == target).to(logits.dtype)
    residual = (hits - confidence) / len(target)
    if form == "weighted":
        residual = (hits - confidence) / torch.where(hits > 0, hits.sum(), (1 - hits).sum())
    kernel = torch.exp(-(confidence[:, None] - confidence[None]).abs() / 0.4)
    error = residual @ kernel @ residual
    error = error if form == "squared" else error.sqrt()
    return F.cross_entropy(logits, target) + weight * error


@pytest.mark.parametrize("form", ["squared", "root", "weighted"])
def test_value_and_gradient_of_samples_and_pixels(form: str) -> None:
    picture, label, logits, target = image()
    loss = MMCELoss(3.0, form)
    logits.requires_grad_(True)
    picture = picture.clone().requires_grad_(True)
    expected = plain(logits, target, 3.0, form)
    torch.testing.assert_close(loss(logits, target), expected)
    value = loss(picture, label, ignore_index=255)
    torch.testing.assert_close(value, expected)
    expected.backward()
    value.backward()
    keep = (label != 255).flatten()
    slope = picture.grad.movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(slope[keep], logits.grad)
    assert slope[~keep].count_nonzero() == 0


def test_gradient() -> None:
    logits, target = samples(7)
    loss = MMCELoss()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_(True))


def test_weights_and_divisor_are_of_the_cross_entropy_alone() -> None:
    logits, target = samples()
    error = plain(logits, target) - F.cross_entropy(logits, target)
    weight = torch.rand(48, generator=torch.Generator().manual_seed(1))
    entropy = (F.cross_entropy(logits, target, reduction="none") * weight).sum() / 7
    torch.testing.assert_close(MMCELoss()(logits, target, weight, avg_factor=7.0), entropy + error)
    torch.testing.assert_close(MMCELoss(loss_weight=0.5)(logits, target), plain(logits, target) / 2)
    each = MMCELoss()(logits, target, reduction_override="none")
    torch.testing.assert_close(each, F.cross_entropy(logits, target, reduction="none"))


def test_drawn_samples_follow_the_seed_and_estimate_the_error() -> None:
    torch.manual_seed(0)
    logits, target = samples(4000)
    loss = MMCELoss(num_samples=200)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(loss(logits, target))
    assert values[0] == values[1] != values[2]
    entropy = F.cross_entropy(logits, target)
    confidence, predicted = logits.softmax(1).max(1)
    whole = maximum_mean_calibration_error(confidence, predicted == target)
    drawn = torch.stack([loss(logits, target) for _ in range(40)]).mean() - entropy
    assert abs(drawn - whole) < 0.1 * whole
    few = MMCELoss(num_samples=4000)
    torch.testing.assert_close(few(logits, target), MMCELoss()(logits, target), rtol=0, atol=0)


def test_half_precision_and_autocast_compute_in_float32() -> None:
    logits, target = samples()
    half = logits.bfloat16().requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = MMCELoss()(half, target)
    value.backward()
    assert value.dtype == torch.float32
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, MMCELoss()(half.detach().float(), target))


@pytest.mark.parametrize("form", ["squared", "root", "weighted"])
@pytest.mark.parametrize("hits", [[True] * 4, [False] * 4, [True, False, True, False]])
def test_extreme_logits_are_finite(hits: list[bool], form: str) -> None:
    logits = (1e4 * torch.eye(4)).requires_grad_(True)
    target = torch.tensor([k if hit else (k + 1) % 4 for k, hit in enumerate(hits)])
    value = MMCELoss(form=form)(logits, target)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


def test_no_valid_sample_gives_zero() -> None:
    for shape in ((3,), (1, 2, 2)):
        logits = torch.randn(shape[0], 4, *shape[1:], requires_grad=True)
        value = MMCELoss()(logits, torch.full(shape, 255), ignore_index=255)
        value.backward()
        assert value == 0
        assert logits.grad.count_nonzero() == 0


def test_equal_logits_in_closed_form() -> None:
    """One sample, two classes: the residual is 1/2, whichever is the label."""
    for form, error in (("squared", 0.25), ("root", 0.5), ("weighted", 0.0)):
        value = MMCELoss(form=form)(torch.zeros(1, 2), torch.tensor([1]))
        assert value.item() == pytest.approx(math.log(2) + error)


def test_the_weighted_form_has_two_names() -> None:
    logits, target = samples()
    one, other = MMCELoss(weighted=True), MMCELoss(form="weighted")
    assert torch.equal(one(logits, target), other(logits, target))
    assert MMCELoss(weighted=False).form == "squared"


def test_misuse_is_named_in_one_line() -> None:
    logits, _ = samples(3)
    with pytest.raises(ValueError, match="MMCELoss is defined for labels"):
        MMCELoss()(logits, logits.softmax(1))
    for arguments, message in (
        ({"weight": -1.0}, "weight .* -1.0"),
        ({"kernel_width": 0.0}, "kernel_width .* 0.0"),
        ({"form": "cubed"}, "form must be .* got 'cubed'"),
        ({"num_samples": 0}, "num_samples .* 0"),
    ):
        with pytest.raises(ValueError, match=message):
            MODELS.build(dict(type="MMCELoss", **arguments))
    with pytest.raises(TypeError, match="kernel"):
        MODELS.build(dict(type="MMCELoss", kernel=1.0))
