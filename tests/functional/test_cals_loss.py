"""What the loss promises beyond its value: errors, empty cases, autograd, memory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from cals_mm.functional import cals_loss
from tests.functional.loss_cases import needs_native

FUSED = ("chunked", pytest.param("native", marks=needs_native))


@pytest.fixture(params=("eager", *FUSED))
def backend(request, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", request.param)
    return request.param


@pytest.fixture(params=FUSED)
def fused(request, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", request.param)


def loss_of(logits, target, **options) -> Any:
    classes = logits.shape[1]
    options = {"margin": 2.0, **options}
    return cals_loss(logits, target, torch.full((classes,), 0.5), torch.ones(classes), **options)


def problem(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator) * 4
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    return logits.requires_grad_(), target


def test_without_penalty_it_is_cross_entropy(backend):
    logits, target = problem(3, 5, 4)
    weight = torch.rand(5)
    loss = loss_of(
        logits, target, penalty_weight=0.0, class_weight=weight, ignore_index=2, label_smoothing=0.1
    )
    expected = F.cross_entropy(logits, target, weight, ignore_index=2, label_smoothing=0.1)
    torch.testing.assert_close(loss, expected)
    gradients = [torch.autograd.grad(value, logits)[0] for value in (loss, expected)]
    torch.testing.assert_close(*gradients)


def test_ignored_pixels_change_nothing(backend):
    logits, target = problem(2, 5, 6, 7)
    padded = torch.full((2, 5, 16, 40), float("nan"))
    padded[..., :6, :7] = logits.detach()
    padded[0, :, 7:] = float("inf")
    padded_target = torch.full((2, 16, 40), 255)
    padded_target[..., :6, :7] = target
    padded.requires_grad_()
    if backend == "eager":  # autograd multiplies NaN by 0
        padded = padded.detach().nan_to_num(3.0, 4.0).requires_grad_()
    loss = loss_of(logits, target, ignore_index=255)
    padded_loss = loss_of(padded, padded_target, ignore_index=255)
    torch.testing.assert_close(padded_loss, loss, rtol=1e-6, atol=0)
    loss.backward()
    padded_loss.backward()
    torch.testing.assert_close(padded.grad[..., :6, :7], logits.grad, rtol=1e-5, atol=1e-8)
    padded.grad[..., :6, :7] = 0
    assert not padded.grad.any()


def test_all_ignored_is_zero_with_a_zero_gradient(backend):
    logits, target = problem(2, 3, 4)
    loss, parts = loss_of(logits, torch.full_like(target, 255), ignore_index=255, return_parts=True)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()
    assert all(part.item() == 0 for part in parts)


def test_an_empty_batch_is_zero(backend):
    logits = torch.zeros(0, 3, 4, requires_grad=True)
    loss = loss_of(logits, torch.zeros(0, 4, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0 and logits.grad.shape == (0, 3, 4)


def test_non_finite_valid_logits_show(backend):
    logits, target = problem(2, 3, 4)
    with torch.no_grad():
        logits[0, 0, 0] = float("nan")
    assert math.isnan(loss_of(logits, target).detach())


def test_equal_maxima_share_the_gradient_of_the_penalty(backend):
    logits = torch.tensor([[5.0, 5.0, 0.0, -3.0]], requires_grad=True)
    penalty = loss_of(logits, torch.tensor([0])) - loss_of(
        logits, torch.tensor([0]), penalty_weight=0.0
    )
    penalty.backward()
    # h = (5 - 2) / 2 and (8 - 2) / 2 for the two others; P' = 0.5 + h; over m and K.
    expected = torch.tensor([[2.75, 2.75, -2.0, -3.5]]) / 2 / 4
    torch.testing.assert_close(logits.grad, expected)


def test_parts_add_up_and_are_detached(backend):
    logits, target = problem(2, 5, 6)
    loss, parts = loss_of(logits, target, penalty_weight=0.3, return_parts=True)
    torch.testing.assert_close(loss.detach(), parts.cross_entropy + 0.3 * parts.penalty)
    distance = logits.amax(1, keepdim=True) - logits
    torch.testing.assert_close(parts.violated, (distance > 2).float().mean())
    assert not any(part.requires_grad for part in parts)


def test_a_distance_of_the_margin_is_no_violation(backend):
    logits = torch.tensor([[10.0, 0.0], [10.0, -0.001]])
    _, parts = loss_of(logits, torch.tensor([0, 0]), margin=10.0, return_parts=True)
    assert parts.violated.item() == 0.25


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(backend, dtype):
    logits, target = problem(3, 5, 40)
    half = logits.detach().to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(half, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, loss_of(half.detach().float(), target))
    loss.backward()
    assert half.grad.dtype == dtype


def test_float16_gradients_survive_until_they_are_scaled(monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "chunked")
    logits, target = problem(1, 3, 40000)
    half = logits.detach().half().requires_grad_()
    wide = half.detach().float().requires_grad_()
    (loss_of(half, target, avg_factor=1e8, penalty_weight=0.0) * 2.0**16).backward()
    (loss_of(wide, target, avg_factor=1e8, penalty_weight=0.0) * 2.0**16).backward()
    error = (half.grad.float() - wide.grad).norm() / wide.grad.norm()
    assert error < 2e-3


def test_soft_targets_may_have_a_gradient():
    logits, _ = problem(3, 5)
    target = torch.rand(3, 5).softmax(1).requires_grad_()
    loss_of(logits, target).backward()
    assert target.grad is not None and logits.grad is not None


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_any_integer_type(backend, dtype):
    logits, target = problem(3, 5)
    torch.testing.assert_close(loss_of(logits, target.to(dtype)), loss_of(logits, target))


def test_a_second_backward_is_refused(fused):
    logits, target = problem(2, 3)
    loss = loss_of(logits, target)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second backward through one cals_loss"):
        loss.backward()


def test_a_double_backward_is_refused(fused):
    logits, target = problem(2, 3)
    with pytest.raises(RuntimeError, match="not differentiable twice.*CALS_MM_BACKEND=eager"):
        torch.autograd.grad(loss_of(logits, target), logits, create_graph=True)


def test_the_gradient_is_made_once_or_never(fused, monkeypatch):
    logits, target = problem(1, 8, 50, 50)
    made = []
    empty_like = torch.empty_like

    def counting(tensor, *args, **kwargs):
        made.extend([1] if tensor.shape == logits.shape else [])
        return empty_like(tensor, *args, **kwargs)

    monkeypatch.setattr(torch, "empty_like", counting)
    loss_of(logits.detach(), target)
    with torch.no_grad():
        loss_of(logits, target)
    assert not made
    loss_of(logits, target).backward()
    assert len(made) == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"target": torch.tensor([0, 3])}, r"label 3 is outside 0\.\.2"),
        ({"target": torch.tensor([-1, 0])}, r"label -1 is outside 0\.\.2.*ignore_index"),
        ({"target": torch.tensor([[0], [1]])}, "target has shape"),
        ({"target": torch.rand(2, 4)}, "target has shape"),
        ({"logits": torch.zeros(2, 1)}, "logits have 1 channel"),
        ({"logits": torch.zeros(2, 3, dtype=torch.long)}, "logits must be floating"),
        ({"multipliers": torch.zeros(4)}, "multipliers have shape"),
        ({"rho": torch.zeros(2, 3)}, "rho have shape"),
        ({"margin": 0.0}, "margin must be a positive"),
        ({"margin": "auto"}, "margin must be a positive finite number .*, got 'auto'"),
        ({"kind": "p4"}, "unknown penalty 'p4'"),
        ({"class_reduction": "none"}, "class_reduction must be"),
        ({"class_weight": torch.ones(2)}, r"class_weight must have shape \(3,\), got \(2,\)"),
        ({"sample_weight": torch.ones(3)}, r"sample_weight must have shape \(2,\), got \(3,\)"),
    ],
)
def test_bad_input_is_named(backend, change, message):
    given = {
        "logits": torch.zeros(2, 3),
        "target": torch.tensor([0, 1]),
        "multipliers": torch.ones(3),
        "rho": torch.ones(3),
    }
    with pytest.raises(ValueError, match=message):
        cals_loss(**{**given, **change})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_bad_logit_of_many_shows(backend, value):
    for shape in ((40, 70), (2, 5, 30, 30), (300, 3)):
        logits, target = problem(*shape)
        with torch.no_grad():
            logits.view(-1)[logits.numel() // 2] = value
        loss, parts = loss_of(logits, target, return_parts=True)
        loss.backward()
        assert loss.isnan() and math.isnan(parts.cross_entropy)
        finite = logits.grad.isfinite()
        assert not finite.all()
        # No other sample than its own is touched.
        assert int((~finite).sum()) <= shape[1]


def test_a_loss_may_be_changed_in_place(backend):
    logits, target = problem(4, 5)
    loss = loss_of(logits, target)
    loss *= 2
    loss.backward()
    twice = logits.grad.clone()
    logits.grad = None
    loss_of(logits, target).backward()
    torch.testing.assert_close(twice, 2 * logits.grad)


def test_the_gradient_buffer_becomes_the_gradient(fused, monkeypatch):
    logits, target = problem(4, 5)
    made = []
    empty_like = torch.empty_like

    def keeping(*args, **kwargs):
        made.append(empty_like(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(torch, "empty_like", keeping)
    loss = loss_of(logits, target)
    addresses = [tensor.data_ptr() for tensor in made]
    made.clear()
    loss.backward()
    assert logits.grad.data_ptr() in addresses


def test_an_ignored_label_hides_no_wrong_one(backend):
    with pytest.raises(ValueError, match="label 7 is outside"):
        loss_of(torch.zeros(3, 3), torch.tensor([255, 7, 1]), ignore_index=255)
