"""The loss of resized logits against interpolation and loss in two steps, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from cals_mm.functional import upsampled_cals_loss
from cals_mm.functional._resize import axis_matrix, source_positions
from tests.functional.loss_cases import needs_native, needs_tracing
from tests.functional.resized_cases import (
    ResizedCase,
    assert_equals_two_steps,
    evaluate,
    resized_cases,
)

BACKENDS = ["eager", "chunked", pytest.param("native", marks=needs_native)]
WIDE = (torch.float32, torch.float64)
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@needs_native
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(resized_cases(max_classes=200, kinds=("phr", "relu")), st.sampled_from([1.0, -2.5]))
def test_native_equals_two_steps(case, incoming):
    assert_equals_two_steps(case, "native", incoming)


@some
@given(resized_cases(), st.sampled_from([1.0, -2.5]))
def test_bands_equal_two_steps(case, incoming):
    assert_equals_two_steps(case, "chunked", incoming)


@some
@given(resized_cases(dtypes=(torch.float64,), ties=False))  # which F.interpolate breaks
def test_eager_equals_two_steps(case):
    assert_equals_two_steps(case, "eager")


@needs_native
@some
@given(resized_cases())
def test_what_the_kernel_does_not_cover_goes_to_bands(case):
    assert_equals_two_steps(case, "native")


def large_case(shape: tuple[int, ...], size: tuple[int, int], **options) -> ResizedCase:
    generator = torch.Generator().manual_seed(0)
    classes = shape[1]
    logits = torch.randn(shape, generator=generator) * 6
    target = torch.randint(0, classes, (shape[0], *size), generator=generator)
    target[:, 10:50] = 255
    target[0, :5, :30] = 255
    multipliers = torch.rand(classes, generator=generator)
    options = {"ignore_index": 255, **options}
    return ResizedCase(logits, target, multipliers, multipliers + 1, 5.0, False, options)


@pytest.mark.parametrize("backend", ["chunked", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize(
    "shape, size",
    [
        ((2, 19, 40, 60), (160, 610)),
        ((1, 150, 30, 33), (120, 260)),
        ((1, 19, 150, 90), (70, 40)),
        ((1, 2, 1, 700), (300, 1)),
        ((1, 2000, 9, 9), (30, 34)),
    ],
)
@pytest.mark.parametrize("align_corners", [False, True])
def test_many_bands_and_strips(shape, size, align_corners, backend):
    case = large_case(shape, size, label_smoothing=0.1)
    assert_equals_two_steps(case._replace(align_corners=align_corners), backend)


@pytest.mark.parametrize("backend", ["chunked", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize("dtype", WIDE)
def test_threads_do_not_change_a_bit(backend, dtype):
    case = large_case((2, 19, 33, 47), (131, 377))
    case = case._replace(logits=case.logits.to(dtype))
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3, 8):
            torch.set_num_threads(number)
            results += [evaluate(case, backend), evaluate(case, backend)]
    finally:
        torch.set_num_threads(threads)
    for loss, gradient, parts in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])
        assert all(map(torch.equal, parts, results[0][2]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_valid_is_zero_with_a_zero_gradient(backend):
    case = large_case((2, 5, 6, 7), (20, 30))
    case.target.fill_(255)
    loss, gradient, parts = evaluate(case, backend)
    assert loss == 0 and parts.accuracy == 1 and parts.violated == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_ignored_pixels_hold_does_not_matter(backend):
    # Neither in the value nor in the gradient of the others.
    case = large_case((1, 5, 8, 8), (8, 8))
    case.target[:, 4:] = 255
    clean = evaluate(case, backend)
    case.logits[:, :, 5:] = float("inf")
    loss, gradient, _ = evaluate(case, backend)
    torch.testing.assert_close(loss, clean[0])
    torch.testing.assert_close(gradient[:, :, :4], clean[1][:, :, :4])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_of_equal_logits_is_the_prediction(backend):
    case = large_case((1, 4, 2, 2), (4, 4))
    case.logits.zero_()[:, 0] = -1.0
    case.target.copy_(torch.tensor([0, 1, 2, 3]).expand(1, 4, 4))
    assert evaluate(case, backend)[2].accuracy == 0.25


@pytest.mark.parametrize("backend", ["chunked", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_under_autocast_are_computed_in_float32(backend, dtype):
    case = large_case((1, 7, 8, 8), (32, 40))
    case = case._replace(logits=case.logits.to(dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert_equals_two_steps(case, backend, incoming=1024.0)


def test_a_small_gradient_survives_float16():
    # Below 6e-8 float16 has nothing left; a gradient scaler multiplies before that.
    case = large_case((1, 7, 64, 64), (64, 64), penalty_weight=0.0, avg_factor=1e9)
    case = case._replace(logits=case.logits.half())
    gradient = evaluate(case, "auto", incoming=2.0**16)[1]
    assert (gradient != 0).float().mean() > 0.1


def test_without_a_gradient_the_value_is_the_same():
    case = large_case((1, 7, 8, 8), (32, 40))
    arguments = (case.target, case.multipliers, case.rho, case.margin)
    expected = evaluate(case, "auto")[0]
    assert torch.equal(upsampled_cals_loss(case.logits, *arguments, **case.options), expected)


def test_a_second_derivative_is_refused_by_the_kernel_and_known_to_eager(monkeypatch):
    case = large_case((2, 3, 2, 2), (3, 5))
    logits = case.logits.double().requires_grad_()

    def loss(z):
        return upsampled_cals_loss(z, case.target, case.multipliers, case.rho, **case.options)

    monkeypatch.setenv("CALS_MM_BACKEND", "eager")
    torch.autograd.gradgradcheck(loss, logits)
    monkeypatch.delenv("CALS_MM_BACKEND")
    with pytest.raises(RuntimeError, match="not differentiable twice"):
        torch.autograd.grad(loss(logits), logits, create_graph=True)


def loss_of(case: ResizedCase):
    """The loss and its accuracy as a function of the logits alone."""

    def loss(logits):
        value, parts = upsampled_cals_loss(
            logits,
            case.target,
            case.multipliers,
            case.rho,
            case.margin,
            return_parts=True,
            **case.options,
        )
        return value, parts.accuracy

    return loss


@needs_tracing
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_as_one_graph_it_is_the_same(backend, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", backend)
    torch.compiler.reset()
    case = large_case((2, 5, 6, 7), (20, 30))
    compiled = torch.compile(loss_of(case), fullgraph=True, backend="aot_eager")
    logits = case.logits.requires_grad_()
    loss, accuracy = compiled(logits)
    (gradient,) = torch.autograd.grad(loss, logits)
    expected = evaluate(case, backend)
    torch.testing.assert_close((loss, gradient, accuracy), (*expected[:2], expected[2].accuracy))


def test_tracers_see_shapes_alone():
    case = large_case((2, 5, 6, 7), (20, 30))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        logits = mode.from_tensor(case.logits).requires_grad_()
        loss, _ = loss_of(case._replace(target=mode.from_tensor(case.target)))(logits)
        loss.backward()
        assert loss.shape == () and logits.grad.shape == logits.shape


def test_torch_func_differentiates():
    case = large_case((2, 5, 6, 7), (20, 30))
    gradient, accuracy = torch.func.grad(loss_of(case), has_aux=True)(case.logits)
    _, expected, parts = evaluate(case, "auto")
    torch.testing.assert_close((gradient, accuracy), (expected, parts.accuracy))


@pytest.mark.parametrize(
    "shape, target, message",
    [
        ((2, 3, 4), torch.zeros(2, 4, dtype=torch.long), r"must have shape \(N, K, h, w\)"),
        ((2, 3, 0, 4), torch.zeros(2, 4, 4, dtype=torch.long), "of at least 1"),
        ((2, 3, 4, 4), torch.zeros(2, 3, 8, 8), "must hold labels"),
        ((2, 3, 4, 4), torch.zeros(1, 8, 8, dtype=torch.long), "target has shape"),
        ((2, 3, 4, 4), torch.full((2, 8, 8), 3), r"label 3 is outside 0\.\.2"),
        ((2, 1, 4, 4), torch.zeros(2, 8, 8, dtype=torch.long), "1 channel"),
    ],
)
def test_what_does_not_fit_is_named(shape, target, message):
    ones = torch.ones(shape[1])
    with pytest.raises(ValueError, match=message):
        upsampled_cals_loss(torch.zeros(shape), target, ones, ones)


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.integers(1, 90), st.booleans()
)
@settings(deadline=None)
def test_positions_are_those_of_interpolate(height, width, out_height, out_width, align_corners):
    image = torch.randn(1, 2, height, width, dtype=torch.float64)
    exact = F.interpolate(
        image, (out_height, out_width), mode="bilinear", align_corners=align_corners
    )
    options = (align_corners, torch.float64, image.device)
    down, across = (
        axis_matrix(height, out_height, *options),
        axis_matrix(width, out_width, *options),
    )
    torch.testing.assert_close(down @ image @ across.T, exact)
    index, share = source_positions(height, out_height, align_corners, torch.float64)
    assert (share[index == height - 1] == 0).all() and ((share >= 0) & (share < 1)).all()
