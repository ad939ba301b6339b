"""Every backend of the loss against the eager one in float64."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cals_mm.functional import PENALTIES, cals_loss
from cals_mm.functional.backends import installed
from cals_mm.functional.backends.loss import choose_loss
from cals_mm.functional.backends.problem import LossProblem
from tests.functional.loss_cases import Case, assert_equals_eager, cases, evaluate, needs_native


def chosen(logits: torch.Tensor, target: torch.Tensor, kind: str = "phr") -> str:
    """Name of the backend for such a loss."""
    ones = logits.new_ones(logits.shape[1])
    problem = LossProblem(
        logits, target, ones, ones, 1.0, kind, None, None, 0.0, False, 1.0, None, None
    )
    return choose_loss(problem).name


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.sampled_from([1.0, -2.5]))
def test_chunked_equals_eager(case, incoming):
    assert_equals_eager(case, "chunked", incoming)


@needs_native
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cases(
        dtypes=(torch.float32, torch.float64), max_classes=200, soft=False, kinds=("phr", "relu")
    ),
    st.sampled_from([1.0, -2.5]),
)
def test_native_equals_eager(case, incoming):
    assert chosen(case.logits, case.target, case.options["kind"]) == "native"
    assert_equals_eager(case, "native", incoming)


@needs_native
@settings(max_examples=30, deadline=None)
@given(cases())
def test_native_leaves_what_it_does_not_cover_to_chunked(case):
    assert_equals_eager(case, "native")


@settings(max_examples=30, deadline=None)
@given(cases(dtypes=(torch.float32, torch.float64)))
def test_eager_in_its_own_dtype_equals_float64(case):
    assert_equals_eager(case, "eager")


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("shape", [(3, 19, 120, 90), (600, 1000), (3, 5000, 6, 7), (6, 140000)])
def test_chunked_equals_eager_over_many_chunks(shape, kind):
    generator = torch.Generator().manual_seed(0)
    num_classes = shape[1]
    logits = torch.randn(shape, generator=generator) * 6
    target = torch.randint(0, num_classes, (shape[0], *shape[2:]), generator=generator)
    target[..., :40] = -100
    multipliers, rho = torch.rand(num_classes), torch.rand(num_classes) + 1
    case = Case(logits, target, multipliers, rho, 5.0, {"kind": kind})
    assert_equals_eager(case, "chunked")


@needs_native
@pytest.mark.parametrize("kind", ["phr", "relu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(3, 19, 120, 190), (3, 150, 70, 61), (2, 3000, 17, 9)])
def test_native_equals_eager_over_many_tiles(shape, layout, dtype, kind):
    generator = torch.Generator().manual_seed(0)
    num_classes = shape[1]
    logits = (torch.randn(shape, generator=generator) * 6).to(dtype, memory_format=layout)
    target = torch.randint(0, num_classes, (shape[0], *shape[2:]), generator=generator)
    target[:, 10:50] = 255
    target[0, :5, :30] = 255
    options = {"kind": kind, "ignore_index": 255, "label_smoothing": 0.1}
    options["class_weight"] = torch.rand(num_classes, generator=generator)
    options["sample_weight"] = torch.rand(target.shape, generator=generator)
    multipliers, rho = torch.rand(num_classes), torch.rand(num_classes) + 1
    assert_equals_eager(Case(logits, target, multipliers, rho, 5.0, options), "native")


@pytest.mark.parametrize("backend", ["chunked", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize("shape", [(1, 112), (1, 112, 3, 5)])
def test_constraints_that_hold_leave_nothing_in_the_gradient(backend, shape):
    # lambda + rho h < 0 everywhere: beside a tiny gradient of the cross entropy, what rounding
    # leaves of a large rho would show.
    generator = torch.Generator().manual_seed(0)
    multipliers = torch.rand(shape[1], generator=generator)
    rho = 1 + 9 * torch.rand(shape[1], generator=generator)
    target = torch.full((shape[0], *shape[2:]), 85)
    options = {"class_reduction": "sum", "sample_weight": torch.full(target.shape, 0.01)}
    case = Case(torch.zeros(shape), target, multipliers, rho, 1.0, options)
    assert_equals_eager(case, backend)


@needs_native
@pytest.mark.parametrize("shape", [(600, 1000), (5, 140000), (200000, 3), (70000, 40)])
def test_native_equals_eager_on_many_rows(shape):
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(shape, generator=generator) * 6).round()
    target = torch.randint(0, shape[1], shape[:1], generator=generator)
    target[3::7] = -100
    multipliers, rho = torch.rand(shape[1]), torch.rand(shape[1]) + 1
    assert_equals_eager(Case(logits, target, multipliers, rho, 5.0, {}), "native")


@pytest.mark.parametrize("present, expected", [(True, "native"), (False, "chunked")])
def test_a_compiled_kernel_is_chosen_where_there_is_one(present, expected, monkeypatch):
    monkeypatch.delenv("CALS_MM_BACKEND", raising=False)
    if present and installed.NATIVE is None:
        pytest.skip("the kernel was not compiled")
    if not present:
        monkeypatch.setattr(installed, "NATIVE", None)
    installed._warn_without_native.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        label = torch.zeros(2, dtype=torch.long)
        names = [chosen(torch.zeros(2, 3), label) for _ in range(2)]
    installed._warn_without_native.cache_clear()
    assert names == [expected] * 2
    told_once = ["the compiled kernel of cals_loss is missing"]
    assert [str(w.message).split(":")[0] for w in caught] == ([] if present else told_once)


def test_without_a_compiled_kernel_the_loss_stays_the_same(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((30, 7), generator=generator) * 6
    target = torch.randint(0, 7, (30,), generator=generator)
    case = Case(logits, target, torch.rand(7), torch.ones(7), 5.0, {})
    loss, gradient, _ = evaluate(case, "auto")
    monkeypatch.setattr(installed, "NATIVE", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain_loss, plain_gradient, _ = evaluate(case, "auto")
    torch.testing.assert_close(plain_loss, loss)
    torch.testing.assert_close(plain_gradient, gradient)
    with pytest.raises(ValueError, match="the kernel was not compiled: install a C compiler"):
        evaluate(case, "native")


@pytest.mark.skipif(
    "CI" not in os.environ or shutil.which("cc") is None,
    reason="only where the checks install the package and there is a C compiler",
)
def test_the_kernel_was_compiled_where_there_is_a_compiler():
    assert installed.NATIVE is not None, "the installation did not build the extension, see its log"


def test_native_on_another_device_is_refused(monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "native")
    logits = torch.zeros(1, 2, device="meta")
    with pytest.raises(ValueError, match="needs logits on the CPU"):
        chosen(logits, torch.zeros(1, dtype=torch.long, device="meta"))


@pytest.mark.parametrize("backend", ["chunked", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize("shape", [(2, 19, 160, 200), (700, 1000)])
def test_threads_do_not_change_a_bit(backend, shape):
    generator = torch.Generator().manual_seed(0)
    classes = shape[1]
    logits = torch.randn(shape, generator=generator)
    target = torch.randint(0, classes, (shape[0], *shape[2:]), generator=generator)
    case = Case(logits, target, torch.rand(classes), torch.ones(classes), 2.0, {})
    threads = torch.get_num_threads()
    try:
        results = []
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(evaluate(case, backend))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", PENALTIES)
def test_numerical_gradient(kind, dtype):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn((3, 4, 2), dtype=torch.float64, generator=generator) * 4
    target = torch.randint(0, 4, (3, 2), generator=generator)
    multipliers, rho = torch.rand(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64) + 1

    def loss(z):
        return cals_loss(z, target, multipliers, rho, 3.0, kind=kind, label_smoothing=0.1)

    class Recomputed(torch.autograd.Function):
        """gradcheck runs several backwards, of which the fused loss has only one."""

        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return loss(z)

        @staticmethod
        def backward(ctx, incoming):
            with torch.enable_grad():
                z = ctx.saved_tensors[0].detach().requires_grad_()
                return torch.autograd.grad(loss(z), z)[0] * incoming

    assert torch.autograd.gradcheck(Recomputed.apply, logits.requires_grad_())


def test_eager_has_a_second_derivative(monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "eager")
    logits = (torch.randn(3, 4, dtype=torch.float64) * 4).requires_grad_()
    target = torch.tensor([0, 3, 1])
    ones = torch.ones(4, dtype=torch.float64)
    torch.autograd.gradgradcheck(lambda z: cals_loss(z, target, ones, ones, 3.0), logits)


def test_triton_equals_eager_in_the_interpreter():
    # A process of its own: Triton reads the variable when a kernel is defined.
    pytest.importorskip("triton", minversion="3.0")  # earlier ones interpret no CPU tensors
    root = Path(__file__).parents[2]
    script = Path(__file__).with_name("triton_interpreted.py")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "equal" in run.stdout


def test_unknown_backend_is_named(monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "cuda")
    with pytest.raises(ValueError, match="CALS_MM_BACKEND='cuda': choose one of auto, eager"):
        cals_loss(torch.zeros(1, 2), torch.tensor([0]), torch.ones(2), torch.ones(2))


def test_triton_on_the_cpu_is_refused(monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="needs logits on a CUDA device"):
        cals_loss(torch.zeros(1, 2), torch.tensor([0]), torch.ones(2), torch.ones(2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", ["auto", "chunked"])
@pytest.mark.parametrize("shape", [(2, 19, 64, 65), (64, 1000), (3, 5000), (1, 600, 7, 9)])
def test_cuda_equals_eager(shape, backend):
    num_classes = shape[1]
    logits = torch.randn(shape, device="cuda") * 6
    target = torch.randint(0, num_classes, (shape[0], *shape[2:]), device="cuda")
    target[0] = -100
    multipliers = torch.rand(num_classes, device="cuda")
    case = Case(logits, target, multipliers, multipliers + 1, 5.0, {})
    assert_equals_eager(case, backend, incoming=3.0)
    assert_equals_eager(case._replace(logits=logits.half()), backend)
