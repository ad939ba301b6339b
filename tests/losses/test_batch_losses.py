"""Losses with a term that looks at the whole batch, against the plainest algebra."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

import cals_mm
from cals_mm import AvUCLoss, MDCALoss

THRESHOLDS = (0.05, 0.3, 0.9)


def samples(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(48, 5, generator=generator, dtype=torch.float64)
    return logits.to(dtype), torch.randint(0, 5, (48,), generator=generator)


def image() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """An image of (2, 5, 4, 6) with void pixels, and its valid pixels as (N, K)."""
    logits, target = samples()
    label = target.view(2, 4, 6).clone()
    label[:, 1:3, :2] = 255
    keep = (label != 255).flatten()
    return logits.view(2, 4, 6, 5).permute(0, 3, 1, 2), label, logits[keep], target[keep]


def avu(logits: Tensor, target: Tensor, threshold: float) -> Tensor:
    """Sample by sample, by the four cases."""
    n = dict.fromkeys(("AC", "AU", "IC", "IU"), torch.zeros((), dtype=torch.float64))
    for z, y in zip(logits, target, strict=True):
        p = z.softmax(0)
        u, r = -(p * p.log()).sum(), p.max()
        right, certain = int(z.argmax()) == int(y), float(u.detach()) <= threshold
        value = (r if right else 1 - r) * (1 - u.tanh() if certain else u.tanh())
        case = ("A" if right else "I") + ("C" if certain else "U")
        n[case] = n[case] + value
    return (n["AC"] + n["IU"]) / sum(n.values())


def plain_avuc(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target) - 3 * avu(logits, target, 0.7).log()


def plain_list(logits: Tensor, target: Tensor) -> Tensor:
    terms = [-avu(logits, target, threshold).log() for threshold in THRESHOLDS]
    return F.cross_entropy(logits, target) + 2 * sum(terms) / len(terms)


def plain_mdca(logits: Tensor, target: Tensor) -> Tensor:
    gap = logits.softmax(1).mean(0) - F.one_hot(target, 5).double().mean(0)
    return F.cross_entropy(logits, target) + gap.abs().mean()


def plain_focal_mdca(logits: Tensor, target: Tensor) -> Tensor:
    p = logits.softmax(1).gather(1, target[:, None])
    gap = logits.softmax(1).mean(0) - F.one_hot(target, 5).double().mean(0)
    return -((1 - p) ** 2 * p.log()).mean() + 4 * gap.abs().mean()


LOSSES: dict[str, tuple[dict, Callable[[Tensor, Tensor], Tensor]]] = {
    "avuc": (dict(type="AvUCLoss", threshold=0.7), plain_avuc),
    "avuc list": (dict(type="AvUCLoss", weight=2.0, thresholds=THRESHOLDS), plain_list),
    "mdca": (dict(type="MDCALoss"), plain_mdca),
    "mdca focal": (dict(type="MDCALoss", weight=4.0, gamma=2.0), plain_focal_mdca),
}
every_loss = pytest.mark.parametrize("config, plain", LOSSES.values(), ids=LOSSES)


@every_loss
def test_value_and_gradient_of_samples_and_pixels(config: dict, plain) -> None:
    picture, label, logits, target = image()
    loss = MODELS.build(config)
    logits.requires_grad_(True)
    picture = picture.clone().requires_grad_(True)
    expected = plain(logits, target)
    torch.testing.assert_close(loss(logits, target), expected, rtol=1e-7, atol=0)
    value = loss(picture, label, ignore_index=255)
    torch.testing.assert_close(value, expected, rtol=1e-7, atol=0)
    expected.backward()
    value.backward()
    keep = (label != 255).flatten()
    slope = picture.grad.movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(slope[keep], logits.grad, rtol=1e-6, atol=1e-9)
    assert slope[~keep].count_nonzero() == 0


@every_loss
def test_gradient(config: dict, plain) -> None:
    logits, target = (each[:6] for each in samples())
    loss = MODELS.build(config).double()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.clone().requires_grad_(True))


@every_loss
def test_weights_and_divisor_are_of_the_cross_entropy_alone(config: dict, plain) -> None:
    logits, target = samples()
    loss = MODELS.build(config)
    each = loss(logits, target, reduction_override="none")
    rest = plain(logits, target) - each.mean()
    weight = torch.rand(48, generator=torch.Generator().manual_seed(1))
    value = loss(logits, target, weight, avg_factor=7.0)
    torch.testing.assert_close(value, (each * weight).sum() / 7 + rest, rtol=1e-6, atol=0)
    if config.get("gamma", 0) == 0:
        torch.testing.assert_close(each, F.cross_entropy(logits, target, reduction="none"))


@every_loss
def test_half_precision_and_autocast_compute_in_float32(config: dict, plain) -> None:
    logits, target = samples(torch.bfloat16)
    half = logits.clone().requires_grad_(True)
    loss = MODELS.build(config)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half, target)
    value.backward()
    assert value.dtype == torch.float32 and half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, loss(logits.float(), target))


@every_loss
def test_extreme_logits_are_finite(config: dict, plain) -> None:
    for scale in (1e4, -1e4):
        for target in (torch.arange(4), torch.arange(4).roll(1), torch.tensor([0, 1, 3, 2])):
            logits = (scale * torch.eye(4)).requires_grad_(True)
            value = MODELS.build(config)(logits, target)
            value.backward()
            assert value.isfinite() and logits.grad.isfinite().all()


@every_loss
def test_no_valid_sample_gives_zero(config: dict, plain) -> None:
    for shape in ((3,), (1, 2, 2), (0,)):
        logits = torch.randn(shape[0], 4, *shape[1:], requires_grad=True)
        value = MODELS.build(config)(logits, torch.full(shape, 255), ignore_index=255)
        value.backward()
        assert value == 0 and logits.grad.count_nonzero() == 0


def test_avuc_logs_its_parts_and_threshold() -> None:
    logits, target = samples()
    loss = AvUCLoss(threshold=0.7)
    value = loss(logits, target)
    parts = loss.last_parts
    torch.testing.assert_close(parts.cross_entropy + 3 * parts.term, value)
    assert loss.state.curves()["threshold"] == torch.tensor(0.7)
    assert loss.state_dict().keys() == {"uncertainty.threshold", "uncertainty.num_updates"}


@pytest.mark.parametrize("name", ["AvUCLoss", "MDCALoss"])
@pytest.mark.parametrize("scope", [None, "mmseg", "mmpretrain"])
def test_every_scope_finds_it(name: str, scope: str | None) -> None:
    import mmseg.models  # noqa: F401

    with MODELS.switch_scope_and_registry(scope) as registry:
        assert registry.get(name) is getattr(cals_mm, name)


def test_misuse_is_named_in_one_line() -> None:
    logits, target = samples()
    for loss in (AvUCLoss(), MDCALoss()):
        with pytest.raises(ValueError, match="Loss is defined for labels"):
            loss(logits, logits.softmax(1))
        with pytest.raises(ValueError, match="label 7 is outside"):
            loss(logits, target.masked_fill(target == 1, 7))
        with pytest.raises(TypeError, match="wieght"):
            loss(logits, target, wieght=None)
    for config, message in (
        (dict(type="AvUCLoss", weight=-1.0), "weight .* -1.0"),
        (dict(type="AvUCLoss", threshold=-1.0), "threshold .* -1.0"),
        (dict(type="AvUCLoss", thresholds=[]), "at least one"),
        (dict(type="AvUCLoss", num_validations=1.5), "num_validations .* 1.5"),
        (dict(type="MDCALoss", weight=float("nan")), "weight .* nan"),
        (dict(type="MDCALoss", gamma=-2.0), "gamma .* -2.0"),
    ):
        with pytest.raises(ValueError, match=message):
            MODELS.build(config)
