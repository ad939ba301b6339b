import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from cals_mm import CALSLoss, CRaCLoss
from cals_mm.functional import margin_violation, penalty_lagrangian
from cals_mm.functional._regions import boundary_pixels

SETTINGS = dict(num_classes=4, margin=2.0)


def batch(dtype=torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 4, 9, 8, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 4, (2, 3, 2), generator=generator)
    target = target.repeat_interleave(3, 1).repeat_interleave(4, 2)
    target[:, :2, :3] = 255
    return logits.to(dtype), target


def trained(**changes) -> CRaCLoss:
    """A loss with multipliers of its own in each region and class."""
    loss = CRaCLoss(**SETTINGS, **changes).double()
    for number, part in enumerate(loss.lagrangian.parts):
        part.multipliers.copy_(torch.tensor([0.1, 0.5, 1.0, 2.0]) * (1 + 2 * number))
        part.rho.copy_(torch.tensor([1.0, 2.0, 1.5, 1.2]) + number)
    return loss


def plain(loss: CRaCLoss, logits: Tensor, target: Tensor) -> Tensor:
    """The equation, from whole tensors of violations and penalties."""
    boundary = boundary_pixels(target, 3, 255)
    interior = (target != 255) & ~boundary
    total = F.cross_entropy(logits, target, ignore_index=255)
    violation = margin_violation(logits, 2.0).movedim(1, -1)
    for mask, part in zip((interior, boundary), loss.lagrangian.parts, strict=True):
        value, _ = penalty_lagrangian(violation[mask], part.multipliers, part.rho)
        total = total + value.mean()
    return total


def test_value_and_gradient_are_those_of_the_equation() -> None:
    logits, target = batch()
    logits.requires_grad_(True)
    loss = trained()
    value, expected = loss(logits, target, ignore_index=255), plain(loss, logits, target)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=0)
    wanted, slope = (torch.autograd.grad(result, logits)[0] for result in (expected, value))
    torch.testing.assert_close(slope, wanted, rtol=1e-9, atol=1e-12)
    parts = loss.last_parts
    entropy = F.cross_entropy(logits, target, ignore_index=255).detach()
    torch.testing.assert_close(parts.cross_entropy, entropy)
    torch.testing.assert_close(
        parts.cross_entropy + parts.penalty_interior + parts.penalty_boundary, value.detach()
    )
    assert 0 < parts.violated_interior < 1 and 0 < parts.violated_boundary < 1
    half = trained(loss_weight=0.5)
    torch.testing.assert_close(half(logits, target, ignore_index=255), value / 2)


def test_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALS_MM_BACKEND", "eager")  # the others have one backward a forward
    logits, target = batch()
    logits, target = logits[:1, :, :5, :5].clone().requires_grad_(True), target[:1, :5, :5]
    loss = trained(ignore_index=255)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)


def test_one_region_alone_is_cals() -> None:
    """Without a boundary, and with one multiplier for both, nothing but CALS remains."""
    logits, _ = batch()
    target = torch.full((2, 9, 8), 2)
    loss = trained()
    cals = CALSLoss(**SETTINGS).double()
    cals.lagrangian.load_state_dict(loss.lagrangian.interior.state_dict())
    torch.testing.assert_close(loss(logits, target), cals(logits, target))
    assert loss.last_parts.penalty_boundary == 0


def test_weights_and_divisor_are_of_the_cross_entropy_alone() -> None:
    logits, target = batch()
    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(1)).double()
    weight[target == 255] = float("inf")
    loss = trained(ignore_index=255)
    entropy = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
    keep = target != 255
    penalty = plain(loss, logits, target) - entropy[keep].mean()
    expected = (entropy * weight)[keep].sum()
    torch.testing.assert_close(
        loss(logits, target, weight), expected / keep.sum() + penalty, rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        loss(logits, target, weight, avg_factor=7.0), expected / 7 + penalty, rtol=1e-6, atol=0
    )
    each = loss(logits, target, reduction_override="none")
    torch.testing.assert_close(each, entropy)


def test_half_precision_and_autocast_compute_in_float32() -> None:
    logits, target = batch(torch.bfloat16)
    loss = CRaCLoss(**SETTINGS, ignore_index=255)
    half = logits.clone().requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half, target)
    value.backward()
    assert value.dtype == torch.float32 and half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, loss(logits.float(), target))


def test_extreme_logits_are_finite() -> None:
    _, target = batch()
    for scale in (1e4, -1e4):
        logits = scale * F.one_hot(target.clamp(max=3), 4).movedim(-1, 1).float()
        logits.requires_grad_(True)
        value = CRaCLoss(**SETTINGS, ignore_index=255)(logits, target)
        value.backward()
        assert value.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_no_valid_pixel_gives_zero(reduction: str) -> None:
    logits = torch.randn(1, 4, 3, 3, requires_grad=True)
    target = torch.full((1, 3, 3), 255)
    value = CRaCLoss(**SETTINGS)(logits, target, ignore_index=255, reduction_override=reduction)
    value.sum().backward()
    assert value.count_nonzero() == 0 and logits.grad.count_nonzero() == 0


@pytest.mark.parametrize("scope", [None, "mmseg", "mmpretrain"])
def test_every_scope_finds_it(scope: str | None) -> None:
    import mmseg.models  # noqa: F401

    with MODELS.switch_scope_and_registry(scope) as registry:
        assert registry.get("CRaCLoss") is CRaCLoss


def test_misuse_is_named_in_one_line() -> None:
    logits, target = batch()
    loss = CRaCLoss(**SETTINGS)
    cases = [
        (dict(logits=logits[..., 0, 0], target=target[:, 0, 0]), r"no image.*use CALSLoss"),
        (dict(logits=logits, target=logits.softmax(1)), "defined for labels"),
        (dict(logits=logits, target=target), "label 255 is outside 0..3"),
        (dict(logits=logits, target=target, reduction_override="sum"), "'sum'"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            loss(**arguments)
        assert "\n" not in str(error.value)
    for arguments, message in (
        ({"region_size": 4}, "size must be odd .* 4"),
        ({"margin": -1.0}, "margin .* -1.0"),
        ({"class_reduction": "max"}, "class_reduction .* 'max'"),
    ):
        with pytest.raises(ValueError, match=message):
            CRaCLoss(**{**SETTINGS, **arguments})
    with pytest.raises(TypeError, match="wieght"):
        loss(logits, target, wieght=None)
