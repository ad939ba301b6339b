"""Every loss that CALS is compared with, by both frameworks' conventions."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

import cals_mm
from tests.losses.baselines import EXPECTED, LABELS_ONLY

every_loss = pytest.mark.parametrize("name", EXPECTED)


def make(name: str, **arguments) -> nn.Module:
    return MODELS.build(dict(EXPECTED[name][0], type=name, **arguments))


def samples(count: int = 12, classes: int = 5, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(count, classes, generator=generator, dtype=torch.float64)
    return logits.to(dtype), torch.randint(0, classes, (count,), generator=generator)


def pixels() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """An image of (2, 5, 4, 6) with void pixels, and the valid pixels as (N, K)."""
    logits, target = samples(48)
    image = logits.view(2, 4, 6, 5).permute(0, 3, 1, 2).clone()
    label = target.view(2, 4, 6).clone()
    label[:, 1:3, :2] = 255
    keep = (label != 255).flatten()
    return image, label, logits[keep], target[keep]


@every_loss
def test_value_of_each_sample_and_of_the_batch(name: str) -> None:
    logits, target = samples()
    expected = EXPECTED[name][1](logits, target)
    loss = make(name)
    torch.testing.assert_close(
        loss(logits, target, reduction_override="none"), expected, rtol=1e-9, atol=1e-12
    )
    torch.testing.assert_close(loss(logits, target), expected.mean(), rtol=1e-9, atol=1e-12)
    doubled = make(name, loss_weight=2.0)
    torch.testing.assert_close(doubled(logits, target), 2 * expected.mean(), rtol=1e-9, atol=0)


@every_loss
def test_as_mmsegmentation_calls_it(name: str) -> None:
    image, label, logits, target = pixels()
    expected = EXPECTED[name][1](logits, target).mean()
    loss = make(name)
    torch.testing.assert_close(loss(image, label, weight=None, ignore_index=255), expected)
    torch.testing.assert_close(make(name, ignore_index=255)(image, label), expected)
    each = loss(image, label, ignore_index=255, reduction_override="none")
    assert each.shape == label.shape
    assert each[label == 255].count_nonzero() == 0


@every_loss
def test_as_mmpretrain_calls_it(name: str) -> None:
    logits, target = samples()
    loss = make(name)
    torch.testing.assert_close(loss(logits, target, avg_factor=12), loss(logits, target))
    if name in LABELS_ONLY:
        with pytest.raises(ValueError, match=f"{name} is defined for labels"):
            loss(logits, torch.full((12, 5), 0.2), avg_factor=12)
        return
    hard = torch.eye(5, dtype=torch.float32)[target]
    torch.testing.assert_close(loss(logits, hard, avg_factor=12), loss(logits, target))
    other = hard.flip(0)
    mixed = loss(logits, (hard + other) / 2, avg_factor=12)
    if name != "BrierLoss":  # all others are linear in the target
        mean = (loss(logits, hard) + loss(logits, other)) / 2
        torch.testing.assert_close(mixed, mean, rtol=1e-6, atol=0)


@every_loss
def test_gradient_is_that_of_the_plain_algebra(name: str) -> None:
    image, label, _, _ = pixels()
    image.requires_grad_(True)
    make(name)(image, label, ignore_index=255).backward()
    plain = image.detach().clone().requires_grad_(True)
    rows, keep = plain.movedim(1, -1).flatten(0, 2), (label != 255).flatten()
    EXPECTED[name][1](rows[keep], label.flatten()[keep]).mean().backward()
    torch.testing.assert_close(image.grad, plain.grad, rtol=1e-8, atol=1e-12)


@every_loss
def test_half_precision_and_autocast_compute_in_float32(name: str) -> None:
    logits, target = samples(dtype=torch.float32)
    expected = make(name)(logits.bfloat16().float(), target)
    half = logits.bfloat16().requires_grad_(True)
    value = make(name)(half, target)
    value.backward()
    assert value.dtype == torch.float32
    assert half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(make(name)(half, target), expected, rtol=1e-6, atol=0)


@every_loss
def test_extreme_logits_are_finite(name: str) -> None:
    for scale in (1e4, -1e4):
        logits = scale * torch.eye(4).repeat(2, 1)
        logits.requires_grad_(True)
        target = torch.tensor([0, 1, 2, 3, 1, 2, 3, 0])  # the first half right, the second wrong
        value = make(name)(logits, target)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


@every_loss
def test_no_valid_sample_gives_zero(name: str) -> None:
    for shape in ((3,), (1, 2, 2)):
        logits = torch.randn(shape[0], 4, *shape[1:], requires_grad=True)
        target = torch.full(shape, 255)
        for reduction in ("mean", "none"):
            logits.grad = None
            value = make(name)(
                logits, target, ignore_index=255, reduction_override=reduction, avg_factor=None
            )
            value.sum().backward()
            assert value.count_nonzero() == 0
            assert logits.grad.count_nonzero() == 0


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"ACLSLoss"}))
def test_a_constant_in_all_logits_changes_nothing(name: str) -> None:
    logits, target = samples()
    gradients = []
    for shift in (0.0, 37.5):
        z = (logits + shift).requires_grad_(True)
        gradients.append(torch.autograd.grad(make(name)(z, target), z)[0])
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        make(name)(logits, target), make(name)(logits + 37.5, target), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"MbLSLoss"}))
def test_sample_weights(name: str) -> None:
    image, label, logits, target = pixels()
    weight = torch.rand(label.shape, generator=torch.Generator().manual_seed(2))
    weight[label == 255] = float("inf")
    each = EXPECTED[name][1](logits, target) * weight[label != 255]
    loss = make(name)
    torch.testing.assert_close(loss(image, label, weight, ignore_index=255), each.mean())
    torch.testing.assert_close(
        loss(image, label, weight, avg_factor=7.0, ignore_index=255), each.sum() / 7
    )
    single = loss(image, label, weight, ignore_index=255, reduction_override="none")
    torch.testing.assert_close(single[label != 255], each)


@every_loss
def test_as_the_base_loss_of_cals(name: str) -> None:
    image, label, _, _ = pixels()
    plain = cals_mm.CALSLoss(num_classes=5, margin=2.0)
    loss = cals_mm.CALSLoss(num_classes=5, margin=2.0, base_loss=dict(EXPECTED[name][0], type=name))
    for each in (plain, loss):
        each.lagrangian.multipliers.fill_(0.5)
    plain(image, label, ignore_index=255)
    expected = make(name)(image, label, ignore_index=255) + plain.last_parts.penalty
    torch.testing.assert_close(loss(image, label, ignore_index=255), expected)


@every_loss
@pytest.mark.parametrize("scope", [None, "mmengine", "mmseg", "mmpretrain"])
def test_every_scope_finds_it(name: str, scope: str | None) -> None:
    import mmpretrain.models  # noqa: F401
    import mmseg.models  # noqa: F401

    with MODELS.switch_scope_and_registry(scope) as registry:
        assert registry.get(name) is getattr(cals_mm, name)
        assert "loss" in registry.build(dict(type=name)).loss_name


@every_loss
def test_misuse_is_named_in_one_line(name: str) -> None:
    logits, target = samples()
    loss = make(name)
    with pytest.raises(TypeError, match="marginn"):
        make(name, marginn=3.0)
    with pytest.raises(TypeError, match="wieght"):
        loss(logits, target, wieght=None)
    with pytest.raises(ValueError, match=f"reduction_override='sum': {name} has"):
        loss(logits, target, reduction_override="sum")
    with pytest.raises(ValueError, match=r"label 7 is outside 0\.\.4"):
        loss(logits, target.masked_fill(target == 1, 7))
    with pytest.raises(ValueError, match=r"target has shape \(12, 1\)"):
        loss(logits, target[:, None])
    with pytest.raises(ValueError, match="logits have 1 channel"):
        loss(logits[:, :1], target)


@pytest.mark.parametrize(
    "config, message",
    [
        (dict(type="SmoothedCrossEntropyLoss", label_smoothing=1.5), "label_smoothing .* 1.5"),
        (dict(type="MbLSLoss", margin=0.0), "margin .* 0.0"),
        (dict(type="MbLSLoss", weight=-1.0), "weight .* -1.0"),
        (dict(type="SoftmaxFocalLoss", gamma=-2.0), "gamma .* -2.0"),
        (dict(type="FLSDLoss", thresholds=[0.2]), "equally many"),
        (dict(type="FLSDLoss", thresholds=[0.5, 0.2]), "ascending .* 0.2"),
        (dict(type="EntropyPenaltyLoss", weight=-0.1), "weight .* -0.1"),
        (dict(type="EntropyPenaltyLoss", class_reduction="max"), "class_reduction .* 'max'"),
        (dict(type="ACLSLoss", others_weight=float("nan")), "others_weight .* nan"),
    ],
)
def test_bad_arguments_are_named(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)
