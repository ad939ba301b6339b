"""Losses that look at the labels around each pixel, against loops over pixels."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

import cals_mm
from cals_mm import CRaCLoss, NACLLoss, SVLSLoss
from cals_mm.functional._windows import MEAN, gaussian_window
from tests.functional.windows_by_hand import is_boundary, label_shares

CLASSES = 4
LAMBDA = torch.tensor([[0.1, 0.5, 1.0, 2.0], [0.3, 1.5, 3.0, 6.0]], dtype=torch.float64)
RHO = torch.tensor([[1.0, 2.0, 1.5, 1.2], [2.0, 3.0, 2.5, 2.2]], dtype=torch.float64)


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Blocks of labels with void pixels at a border, in the middle and alone."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, CLASSES, 9, 8, generator=generator, dtype=torch.float64)
    target = torch.randint(0, CLASSES, (2, 3, 2), generator=generator)
    target = target.repeat_interleave(3, 1).repeat_interleave(4, 2)
    target[:, :2, :3] = 255
    target[0, 4:7, 3:6] = 255
    target[0, 5, 4] = 2  # a pixel among void ones
    return logits.to(dtype), target


def crac(padding: str = "labelled", **changes) -> CRaCLoss:
    """A loss with multipliers of its own in each region and class."""
    loss = CRaCLoss(CLASSES, margin=5.0, padding=padding, **changes).double()
    loss.lagrangian.multipliers.copy_(LAMBDA)
    loss.lagrangian.rho.copy_(RHO)
    return loss


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    return values.movedim(1, -1)[valid].mean()


def plain_nacl(
    logits: Tensor, target: Tensor, distance: str, prior: str, padding: str, weight: float = 0.1
) -> Tensor:
    valid = target != 255
    window = MEAN if prior == "mean" else gaussian_window(1.0)
    outside = "nearest" if (prior, padding) == ("gaussian", "zeros") else padding
    difference = label_shares(target, valid, CLASSES, window, outside) - logits
    each = difference.abs() if distance == "l1" else difference.square()
    return F.cross_entropy(logits, target, ignore_index=255) + weight * mean_of_valid(each, valid)


def plain_svls(logits: Tensor, target: Tensor, sigma: float) -> Tensor:
    valid = target != 255
    soft = label_shares(target, valid, CLASSES, gaussian_window(sigma), "nearest")
    return -mean_of_valid((soft * logits.log_softmax(1)).sum(1, keepdim=True), valid)


def plain_crac(logits: Tensor, target: Tensor, padding: str) -> Tensor:
    valid = target != 255
    shares = label_shares(target, valid, CLASSES, MEAN, padding)
    boundary = is_boundary(target, valid, padding).unsqueeze(1)
    violation = (torch.where(boundary, 1.0, 5.0) * shares - logits).abs()
    multipliers, rho = (
        torch.where(boundary, values[1].view(-1, 1, 1), values[0].view(-1, 1, 1))
        for values in (LAMBDA, RHO)
    )
    penalty = mean_of_valid(multipliers * violation + rho * violation.square() / 2, valid)
    return F.cross_entropy(logits, target, ignore_index=255) + penalty / 2


Plain = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, tuple[Callable[..., torch.nn.Module], Plain]] = {
    f"nacl {distance} {prior} {padding}": (
        partial(NACLLoss, distance=distance, prior=prior, padding=padding),
        partial(plain_nacl, distance=distance, prior=prior, padding=padding),
    )
    for distance in ("l1", "l2")
    for prior in ("mean", "gaussian")
    for padding in ("labelled", "zeros")
}
LOSSES |= {
    f"svls {sigma}": (partial(SVLSLoss, sigma), partial(plain_svls, sigma=sigma))
    for sigma in (1.0, 2.5)
}
LOSSES |= {
    f"crac {padding}": (partial(crac, padding), partial(plain_crac, padding=padding))
    for padding in ("labelled", "zeros")
}
every_loss = pytest.mark.parametrize("make, plain", LOSSES.values(), ids=LOSSES)
KINDS = {"NACLLoss": NACLLoss, "SVLSLoss": SVLSLoss, "CRaCLoss": partial(CRaCLoss, CLASSES)}
every_kind = pytest.mark.parametrize("name", KINDS)


@every_loss
def test_value_and_gradient_are_those_of_the_equation(make, plain: Plain) -> None:
    logits, target = batch()
    logits.requires_grad_(True)
    value, expected = make()(logits, target, ignore_index=255), plain(logits, target)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=0)
    wanted, slope = (torch.autograd.grad(each, logits)[0] for each in (expected, value))
    torch.testing.assert_close(slope, wanted, rtol=1e-9, atol=1e-12)
    assert slope.movedim(1, -1)[target == 255].count_nonzero() == 0
    torch.testing.assert_close(make(loss_weight=0.5)(logits, target, ignore_index=255), value / 2)


@every_loss
def test_gradient(make, plain: Plain) -> None:
    logits, target = batch()
    logits, target = logits[:1, :, 3:6, 2:6].clone().requires_grad_(True), target[:1, 3:6, 2:6]
    loss = make(ignore_index=255)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)


@every_loss
def test_rows_in_many_tiles_are_those_in_one(
    make, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, target = batch()
    logits.requires_grad_(True)
    results = []
    for size in (1 << 17, 70):
        monkeypatch.setattr("cals_mm.functional._window_loss.TILE", size)
        value = make()(logits, target, ignore_index=255)
        results.append((value.detach(), torch.autograd.grad(value, logits)[0]))
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-15)


@every_kind
def test_void_pixels_may_hold_anything(name: str) -> None:
    logits, target = batch(torch.float32)
    dirty = logits.clone()
    dirty.movedim(1, -1)[target == 255] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30])
    results = []
    for z in (logits.requires_grad_(), dirty.requires_grad_()):
        value = KINDS[name]()(z, target, ignore_index=255)
        results.append((value.detach(), torch.autograd.grad(value, z)[0]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_padding_with_void_pixels_changes_nothing() -> None:
    logits, target = batch()
    wide, labels = F.pad(logits, (2, 3, 1, 4), value=50.0), F.pad(target, (2, 3, 1, 4), value=255)
    for make in (crac, NACLLoss):
        torch.testing.assert_close(
            make()(wide, labels, ignore_index=255), make()(logits, target, ignore_index=255)
        )


@every_kind
def test_weights_and_divisor(name: str) -> None:
    """They are of the cross entropy alone; that of SVLS is the whole loss."""
    logits, target = batch()
    valid = target != 255
    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(1)).double()
    weight[~valid] = float("inf")
    loss = KINDS[name](ignore_index=255)
    if name == "SVLSLoss":
        soft = label_shares(target, valid, CLASSES, gaussian_window(1.0), "nearest")
        entropy, rest = -(soft * logits.log_softmax(1)).sum(1), torch.zeros(()).double()
    else:
        entropy = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
        rest = loss(logits, target) - entropy[valid].mean()
    expected = (entropy * weight)[valid].sum()
    for divisor, wanted in ((None, expected / valid.sum()), (7.0, expected / 7)):
        value = loss(logits, target, weight, avg_factor=divisor)
        torch.testing.assert_close(value, wanted + rest, rtol=1e-6, atol=0)
    each = loss(logits, target, reduction_override="none")
    torch.testing.assert_close(
        each, F.cross_entropy(logits, target, ignore_index=255, reduction="none")
    )


@every_kind
def test_half_precision_and_autocast_compute_in_float32(name: str) -> None:
    logits, target = batch(torch.bfloat16)
    loss = KINDS[name](ignore_index=255)
    half = logits.clone().requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half, target)
    value.backward()
    assert value.dtype == torch.float32 and half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, loss(logits.float(), target))


@every_kind
def test_extreme_logits_are_finite(name: str) -> None:
    _, target = batch()
    for scale in (1e4, -1e4):
        logits = scale * F.one_hot(target.clamp(max=3), CLASSES).movedim(-1, 1).float()
        logits.requires_grad_(True)
        value = KINDS[name](ignore_index=255)(logits, target)
        value.backward()
        assert value.isfinite() and logits.grad.isfinite().all()


@every_kind
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_no_valid_pixel_gives_zero(name: str, reduction: str) -> None:
    for shape in ((3, 3), (0, 3)):
        logits = torch.randn(1, CLASSES, *shape, requires_grad=True)
        target = torch.full((1, *shape), 255)
        value = KINDS[name]()(logits, target, ignore_index=255, reduction_override=reduction)
        value.sum().backward()
        assert value.count_nonzero() == 0 and logits.grad.count_nonzero() == 0


@every_kind
def test_a_second_backward_gives_the_same(name: str) -> None:
    logits, target = batch()
    logits.requires_grad_(True)
    value = KINDS[name]()(logits, target, ignore_index=255)
    once = torch.autograd.grad(value, logits, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(3 * value, logits)[0], 3 * once)


def test_the_parts_of_crac_are_logged() -> None:
    logits, target = batch()
    loss = crac(penalty_weight=0.3)
    value = loss(logits, target, ignore_index=255)
    entropy = F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(loss.last_parts.cross_entropy, entropy)
    torch.testing.assert_close(sum(loss.last_parts), value)
    penalty = plain_crac(logits, target, "labelled") - entropy
    torch.testing.assert_close(loss.last_parts.penalty, 0.3 * penalty)


@every_kind
@pytest.mark.parametrize("scope", [None, "mmseg", "mmpretrain"])
def test_every_scope_finds_it(name: str, scope: str | None) -> None:
    import mmseg.models  # noqa: F401

    with MODELS.switch_scope_and_registry(scope) as registry:
        assert registry.get(name) is getattr(cals_mm, name)


@every_kind
def test_misuse_is_named_in_one_line(name: str) -> None:
    logits, target = batch()
    loss = KINDS[name]()
    cases = [
        (dict(logits=logits[..., 0, 0], target=target[:, 0, 0]), "are no images"),
        (dict(logits=logits, target=logits.softmax(1)), "defined for labels"),
        (dict(logits=logits, target=target), "label 255 is outside 0..3"),
        (dict(logits=logits, target=target, reduction_override="sum"), "'sum'"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message) as error:
            loss(**arguments)
        assert "\n" not in str(error.value)
    with pytest.raises(TypeError, match="wieght"):
        loss(logits, target, wieght=None)
    with pytest.raises(TypeError, match="wieght"):
        KINDS[name](wieght=1.0)


@pytest.mark.parametrize(
    "config, message",
    [
        (dict(type="NACLLoss", weight=-1.0), "weight .* -1.0"),
        (dict(type="NACLLoss", distance="l3"), "'l1' or 'l2', got 'l3'"),
        (dict(type="NACLLoss", prior="max"), "'mean' or 'gaussian', got 'max'"),
        (dict(type="NACLLoss", padding="ones"), "'labelled' or 'zeros', got 'ones'"),
        (dict(type="SVLSLoss", sigma=0.0), "sigma .* 0.0"),
        (dict(type="CRaCLoss", num_classes=4, padding="ones"), "'zeros', got 'ones'"),
        (dict(type="CRaCLoss", num_classes=4, margin=-1.0), "margin .* -1.0"),
        (dict(type="CRaCLoss", num_classes=4, rho_init=0.0), "rho_init"),
    ],
)
def test_bad_arguments_are_named(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)


def test_crac_has_no_other_penalty() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'penalty'"):
        CRaCLoss(4, penalty="p2")
    with pytest.raises(ValueError, match="set num_classes=4"):
        CRaCLoss(3)(*batch(), ignore_index=255)
