"""What one pass gives to the metric and to the multipliers is what each computes alone."""

import pytest
import torch

from cals_mm.core import CalibrationMeter, DualStatistics, SharedPass
from cals_mm.functional import _calibration_pass
from cals_mm.functional._dual import DUAL_SUMS
from tests.functional.loss_cases import needs_native

CLASSES = 7


def batch(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 6 * torch.randn(shape, generator=generator)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    target.view(-1)[::4] = 255
    return logits, target


def statistics_for(num_classes: int = CLASSES, penalty: str = "phr") -> DualStatistics:
    generator = torch.Generator().manual_seed(1)
    lam, rho = (torch.rand(num_classes, generator=generator) + 0.5 for _ in range(2))
    return DualStatistics(lam, rho, margin=3.0, penalty=penalty)


def alone(logits: torch.Tensor, target: torch.Tensor, penalty: str = "phr") -> DualStatistics:
    statistics = statistics_for(logits.shape[1], penalty)
    statistics.update(logits, target != 255)
    return statistics


@needs_native
@pytest.mark.parametrize("penalty", ["phr", "relu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 7, 61, 83), (3, 150, 20, 31), (301, 7), (200, 100)])
def test_both_readers_get_what_they_would_compute(shape, dtype, penalty):
    logits, target = batch(*shape)
    logits = logits.to(dtype)
    # Void pixels may hold anything.
    logits.movedim(1, -1)[target == 255] = float("nan")
    both, meter = statistics_for(shape[1], penalty), CalibrationMeter(ignore_index=255)
    shared = SharedPass(both, 255)
    meter.update(logits, target, shared)
    sums = shared.take(logits)
    assert sums is not None
    both.update(logits, target != 255, sums=sums)
    single = alone(logits, target, penalty)
    assert both.count == single.count
    torch.testing.assert_close(both.sum_derivative, single.sum_derivative, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(both.sum_violation, single.sum_violation, rtol=1e-6, atol=1e-6)
    plain = CalibrationMeter(ignore_index=255)
    plain.update(logits, target)
    for ours, theirs in zip(meter.statistics.pack(), plain.statistics.pack(), strict=True):
        assert torch.equal(ours, theirs)


@needs_native
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_change_a_bit(threads):
    logits, target = batch(1, CLASSES, 300, 211)
    before = torch.get_num_threads()
    results = []
    for number in (1, threads):
        torch.set_num_threads(number)
        try:
            meter, shared = CalibrationMeter(ignore_index=255), SharedPass(statistics_for(), 255)
            meter.update(logits, target, shared)
            results.append((*meter.statistics.pack(), *shared.take(logits)))
        finally:
            torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@needs_native
def test_sums_are_given_once_and_dropped():
    (logits, target), (other, _) = batch(1, CLASSES, 5, 6), batch(1, CLASSES, 5, 6, seed=2)
    shared = SharedPass(statistics_for(), 255)
    CalibrationMeter(ignore_index=255).update(logits, target, shared)
    assert shared.take(other) is None
    # A second metric of the same prediction has nothing to add.
    CalibrationMeter(10, ignore_index=255).update(logits, target, shared)
    assert shared.take(logits) is not None
    assert shared.take(logits) is None
    CalibrationMeter(ignore_index=255).update(logits, target, shared)
    shared.clear()
    assert shared.take(logits) is None


@pytest.mark.parametrize("penalty, ignored", [("phr", -1), ("p2", 255)])
def test_what_cannot_be_shared_is_left_to_the_second_reader(penalty, ignored):
    logits, target = batch(1, CLASSES, 5, 6)
    shared = SharedPass(statistics_for(penalty=penalty), ignored)
    CalibrationMeter(ignore_index=255).update(logits, target, shared)
    assert shared.take(logits) is None


@needs_native
def test_in_plain_torch_nothing_is_shared(monkeypatch):
    monkeypatch.setenv("CALS_MM_BACKEND", "chunked")
    logits, target = batch(1, CLASSES, 5, 6)
    shared = SharedPass(statistics_for(), 255)
    CalibrationMeter(ignore_index=255).update(logits, target, shared)
    assert shared.take(logits) is None


@needs_native
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_logit_that_is_no_number_is_told_as_without_sharing(value):
    logits, target = batch(1, CLASSES, 5, 6)
    target[0, 0, 1] = 2
    logits[0, 3, 0, 1] = value
    statistics, meter = statistics_for(), CalibrationMeter(ignore_index=255)
    shared = SharedPass(statistics, 255)
    meter.update(logits, target, shared)
    assert meter.nonfinite == (value != float("-inf"))
    with pytest.raises(ValueError, match="NaN or Inf"):
        statistics.update(logits, target != 255, sums=shared.take(logits))
    assert statistics.count == 0


@needs_native
def test_it_is_one_pass(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a second pass")

    logits, target = batch(1, CLASSES, 40, 50)
    monkeypatch.setattr("cals_mm.functional._dual.DUAL_SUMS", refuse)
    monkeypatch.setattr(_calibration_pass, "sum_logits", refuse)
    assert DUAL_SUMS is not refuse
    statistics = statistics_for()
    shared = SharedPass(statistics, 255)
    CalibrationMeter(ignore_index=255).update(logits, target, shared)
    statistics.update(logits, target != 255, sums=shared.take(logits))
    with pytest.raises(AssertionError, match="second pass"):
        statistics.update(logits, target != 255)
