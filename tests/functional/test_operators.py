"""The operators under whatever traces, transforms or fakes a program: right values or one error."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from cals_mm.functional import (
    calibration_statistics,
    cals_loss,
    margin_penalty,
    upsampled_cals_loss,
)
from cals_mm.functional._dual import DUAL_SUMS, dual_sums
from cals_mm.functional._label_counts import COUNT_LABELS
from cals_mm.functional._probability_sums import PROBABILITY_SUMS
from cals_mm.functional.backends import installed
from cals_mm.functional.backends.dual import ChunkedDual
from tests.functional.loss_cases import needs_native, needs_tracing

CLASSES = 7
FUSED = ("chunked", pytest.param("native", marks=needs_native))
LOSSES = ("cals_loss", "cals_loss_relu", "margin_penalty", "upsampled_cals_loss")


@pytest.fixture(params=("eager", *FUSED))
def backend(request, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", request.param)
    torch._dynamo.reset()
    yield request.param
    torch._dynamo.reset()


@pytest.fixture(params=LOSSES)
def loss(request):
    generator = torch.Generator().manual_seed(0)
    multipliers, weight = torch.rand(2, CLASSES, generator=generator).unbind()
    rho = multipliers + 1

    def value(logits: Tensor, target: Tensor) -> Tensor:
        given = (multipliers, rho, 3.0)
        if request.param == "margin_penalty":
            return margin_penalty(logits, *given, mask=target != -100)
        if request.param == "upsampled_cals_loss":
            return upsampled_cals_loss(logits, target, *given, class_weight=weight)
        if request.param == "cals_loss_relu":
            return cals_loss(logits, target, *given, kind="relu", label_smoothing=0.1)
        total, parts = cals_loss(logits, target, *given, class_weight=weight, return_parts=True)
        return total + 0 * parts.violated

    value.name = request.param
    return value


def batch(name: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (3, CLASSES, 4, 5)
    logits = torch.randn(shape, generator=generator) * 5
    size = (9, 11) if name == "upsampled_cals_loss" else shape[2:]
    target = torch.randint(0, CLASSES, (3, *size), generator=generator)
    target[0, 1] = -100
    return logits, target


def exact(loss, monkeypatch) -> tuple[Tensor, Tensor]:
    """Value and gradient by the eager backend."""
    logits, target = batch(loss.name)
    with monkeypatch.context() as patch:
        patch.setenv("CALS_MM_BACKEND", "eager")
        value = loss(logits.requires_grad_(), target)
        return value.detach(), torch.autograd.grad(value, logits)[0]


def assert_equal(value, gradient, exact):
    torch.testing.assert_close(value.detach(), exact[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, exact[1], rtol=1e-4, atol=1e-6)


def test_fake_tensors(loss, backend):
    logits, target = batch(loss.name)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(logits).requires_grad_()
        value = loss(fake, mode.from_tensor(target))
        value.backward()
    assert value.shape == () and value.dtype == torch.float32
    assert fake.grad.shape == logits.shape and fake.grad.stride() == logits.stride()


@needs_tracing
def test_compile_in_one_graph(loss, backend, monkeypatch):
    logits, target = batch(loss.name)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value = compiled(logits.requires_grad_(), target)
    assert_equal(value, torch.autograd.grad(value, logits)[0], exact(loss, monkeypatch))
    with torch.no_grad():
        torch.testing.assert_close(compiled(logits, target), value.detach())


@pytest.mark.slow  # the compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@needs_tracing
def test_compile_by_inductor(monkeypatch):
    monkeypatch.delenv("CALS_MM_BACKEND", raising=False)
    logits, target = batch("cals_loss")
    ones = torch.ones(CLASSES)

    def step(logits: Tensor, target: Tensor) -> Tensor:
        return cals_loss(logits.sin(), target, ones, ones, 3.0)

    results = []
    for call in (step, torch.compile(step, fullgraph=True)):
        value = call(logits.requires_grad_(), target)
        results.append((value.detach(), torch.autograd.grad(value, logits)[0]))
    for got, wanted in zip(*results):
        torch.testing.assert_close(got, wanted)


@needs_tracing
def test_wrong_labels_are_named_by_a_compiled_loss(backend):
    ones = torch.ones(3)
    compiled = torch.compile(
        lambda z, y: cals_loss(z, y, ones, ones, 1.0), fullgraph=True, backend="aot_eager"
    )
    good = torch.tensor([0, 2])
    compiled(torch.zeros(2, 3), good)
    with pytest.raises(ValueError, match=r"label 3 is outside 0\.\.2"):
        compiled(torch.zeros(2, 3), good + 1)


@needs_tracing
def test_export(loss, backend):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(CLASSES, CLASSES, 1)

        def forward(self, image: Tensor, target: Tensor) -> Tensor:
            return loss(self.layer(image), target)

    logits, target = batch(loss.name)
    model = Model()
    exported = torch.export.export(model, (logits, target)).module()
    values = [call(logits, target) for call in (model, exported)]
    gradients = [
        torch.autograd.grad(value, dict(call.named_parameters())["layer.weight"])[0]
        for value, call in zip(values, (model, exported))
    ]
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_func_grad(loss, backend, monkeypatch):
    logits, target = batch(loss.name)
    gradient, value = torch.func.grad_and_value(loss)(logits, target)
    assert_equal(value, gradient, exact(loss, monkeypatch))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_of_the_gradient(loss, backend):
    logits, target = batch(loss.name)
    each = torch.func.vmap(torch.func.grad(loss))(logits[:, None], target[:, None])
    for number in range(len(logits)):
        part = slice(number, number + 1)
        alone = torch.func.grad(loss)(logits[part], target[part])
        torch.testing.assert_close(each[number], alone)


@pytest.mark.parametrize("fused", FUSED)
def test_what_the_fused_loss_has_not_is_refused(loss, fused, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", fused)
    logits, target = batch(loss.name)

    def of(logits: Tensor) -> Tensor:
        return loss(logits, target)

    twice = r"not differentiable twice.*; set CALS_MM_BACKEND=eager"
    with pytest.raises(RuntimeError, match=twice):
        torch.func.grad(lambda z: torch.func.grad(of)(z).square().sum())(logits)
    with pytest.raises(RuntimeError, match=twice):
        wanted = logits.clone().requires_grad_()
        torch.autograd.grad(of(wanted), wanted, create_graph=True)
    with pytest.raises(RuntimeError, match="no forward-mode derivative; set CALS_MM_BACKEND=eager"):
        torch.func.jvp(of, (logits,), (logits,))
    with (
        pytest.raises(RuntimeError, match="no forward-mode derivative"),
        torch.autograd.forward_ad.dual_level(),
    ):
        of(torch.autograd.forward_ad.make_dual(logits, logits))
    wanted = logits.clone().requires_grad_()
    value = of(wanted)
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second backward through one"):
        value.backward()


@needs_tracing
@pytest.mark.parametrize("mask", [None, torch.ones(3, 4, 5, dtype=torch.bool)])
def test_sums_of_fake_tensors(mask):
    logits, target = batch("sums")
    ones = torch.ones(CLASSES)
    calls = [
        (COUNT_LABELS, (target, CLASSES, -100, ones)),
        (DUAL_SUMS, (logits, ones, ones, 2.0, "phr", mask, 0.0, 9.0)),
        (PROBABILITY_SUMS, (logits, target.clamp(min=0), None, 15, False)),
    ]
    for operator, arguments in calls:
        real = operator(*arguments)
        with FakeTensorMode() as mode:
            fake = operator(
                *(mode.from_tensor(a) if isinstance(a, Tensor) else a for a in arguments)
            )
        pairs = [(real, fake)] if isinstance(real, Tensor) else list(zip(real, fake))
        for got, told in pairs:
            assert (got.shape, got.dtype) == (told.shape, told.dtype), operator


@pytest.mark.filterwarnings("error")
def test_dual_sums_compile_in_one_graph():
    logits, _ = batch("sums")
    ones = torch.ones(CLASSES)
    compiled = torch.compile(
        lambda z: dual_sums(z, ones, ones, 2.0), fullgraph=True, backend="aot_eager"
    )
    for got, wanted in zip(compiled(logits), dual_sums(logits, ones, ones, 2.0)):
        assert torch.equal(got, wanted)


class Used:
    """Stands in for the compiled module, and notes what of it is called."""

    def __init__(self, module) -> None:
        self.module, self.names = module, set()

    def __getattr__(self, name: str):
        self.names |= {name} & {"loss", "upsampled", "penalty", "calibration", "read_labels"}
        return getattr(self.module, name)


@needs_native
@pytest.mark.parametrize("asked", ["auto", "native", "chunked", "eager"])
def test_one_variable_rules_the_loss_the_statistics_and_the_sums(asked, monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", asked)
    used = Used(installed.NATIVE)
    monkeypatch.setattr(installed, "NATIVE", used)
    in_tiles = []
    run = ChunkedDual.run
    monkeypatch.setattr(ChunkedDual, "run", lambda *given: in_tiles.append(1) or run(*given))
    logits, target = batch("sums")
    ones = torch.ones(CLASSES)
    cals_loss(logits, target, ones, ones, 2.0)
    compiled_loss = "loss" in used.names
    calibration_statistics(logits, target)
    dual_sums(logits, ones, ones, 2.0)
    compiled = asked in ("auto", "native")
    assert compiled_loss == ("calibration" in used.names) == compiled
    upsampled_cals_loss(
        torch.zeros(1, 2, 3, 3),
        torch.zeros(1, 6, 6, dtype=torch.long),
        torch.ones(2),
        torch.ones(2),
        2.0,
    )
    assert ("upsampled" in used.names) == ("read_labels" in used.names) == compiled
    assert bool(in_tiles) == (asked != "eager")


@needs_tracing
def test_one_fake_tensor_among_real_ones_is_no_crash():
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    labels, ones, logits = torch.zeros(4, dtype=torch.long), torch.ones(8), torch.zeros(4, 8)
    fake = {"labels": mode.from_tensor(labels), "ones": mode.from_tensor(ones)}
    assert cals_loss(logits, fake["labels"], ones, ones, 1.0).shape == ()
    assert cals_loss(logits, labels, fake["ones"], ones, 1.0).shape == ()
    mask = mode.from_tensor(labels == 0)
    assert margin_penalty(logits, ones, ones, 1.0, mask=mask).shape == ()
    with pytest.raises(Exception, match="_local_scalar_dense"):
        calibration_statistics(logits, fake["labels"])
