"""The compiled kernel on several threads: the same bits, and no harm to forks and callers."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from cals_mm.functional import cals_loss
from cals_mm.functional.backends import installed
from cals_mm.functional.backends.installed import NATIVE
from tests.functional.loss_cases import needs_native

pytestmark = needs_native


@pytest.fixture
def threads():
    """Sets the number of torch's threads; it is as before afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def inputs(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    classes = shape[1]
    logits = (torch.randn(shape, generator=generator) * 5).to(dtype)
    target = torch.randint(0, classes, (shape[0], *shape[2:]), generator=generator)
    target.view(-1)[::7] = -100
    multipliers = torch.rand(classes, generator=generator)
    return logits, target, multipliers, torch.ones(classes)


def values(
    logits: Tensor, target: Tensor, multipliers: Tensor, rho: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss and gradient."""
    logits = logits.detach().requires_grad_()
    loss = cals_loss(logits, target, multipliers, rho, 4.0)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


@pytest.mark.skipif(
    sys.platform != "linux"
    or "ATen parallel backend: OpenMP" not in torch.__config__.parallel_info(),
    reason="torch has no OpenMP here, or another one",
)
def test_the_threads_of_torch_are_found():
    assert NATIVE.shares_threads()


@pytest.mark.skipif(
    sys.platform != "linux"
    or "ATen parallel backend: OpenMP" not in torch.__config__.parallel_info(),
    reason="torch has no OpenMP here, or another one",
)
def test_the_threads_are_found_when_torch_comes_later():
    code = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("_native", {NATIVE.__file__!r})
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)
before = native.shares_threads()
import torch
print(before, native.shares_threads())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.split() == ["False", "True"], run.stderr


def test_one_thread_alone_is_told_once(threads, monkeypatch):
    threads(2)
    monkeypatch.setattr(installed, "NATIVE", SimpleNamespace(shares_threads=lambda: False))
    installed._warn_without_threads.cache_clear()
    with pytest.warns(UserWarning, match="run on one thread; 'python -m cals_mm' tells more"):
        assert installed.has_native()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert installed.has_native()
    installed._warn_without_threads.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(256, 1000), (5, 140000), (90000, 3), (3, 19, 120, 190), (2, 3000, 17, 9)]
)
def test_any_number_of_threads_gives_the_same_bits(shape, dtype, threads):
    given = inputs(shape, dtype)
    results = []
    for number in (1, 2, 3, 8):
        threads(number)
        results += [values(*given), values(*given)]
    for loss, gradient in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_callers_at_the_same_time_do_not_disturb_each_other(threads):
    threads(3)
    works = [inputs((100 + 50 * i, 1000)) for i in range(4)]
    expected = [values(*given) for given in works]

    def many(number: int) -> bool:
        torch.set_num_threads(3)
        loss, gradient = expected[number]
        got = [values(*works[number]) for _ in range(10)]
        return all(torch.equal(loss, a) and torch.equal(gradient, b) for a, b in got)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(many, range(4))) == [True] * 4


def _in_child(connection, given):
    torch.set_num_threads(2)
    loss = cals_loss(*given, 4.0)
    connection.send(float(loss))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot fork"
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_computes_the_same(threads):
    threads(2)
    given = inputs((256, 1000))
    expected = float(cals_loss(*given, 4.0))
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(sender, given), daemon=True)
    child.start()
    try:
        assert receiver.poll(9), "the child waits for threads that it does not have"
        assert receiver.recv() == expected
    finally:
        child.kill()
        child.join()
    assert float(cals_loss(*given, 4.0)) == expected


@pytest.mark.parametrize("value", [None, "chunked", "auto"])
def test_the_environment_is_read_as_it_is_now(value, monkeypatch):
    monkeypatch.delenv("CALS_MM_BACKEND", raising=False)
    if value is not None:
        monkeypatch.setenv("CALS_MM_BACKEND", value)
    assert NATIVE.variable("CALS_MM_BACKEND") == value
