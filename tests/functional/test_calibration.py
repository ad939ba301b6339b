"""Metrics from bin sums: the reference implementation, an independent library, brute force."""

import json
from pathlib import Path

import pytest
import torch

from cals_mm.functional import (
    CalibrationStatistics,
    accuracy,
    adaptive_calibration_error,
    brier_score,
    calibration_gap,
    calibration_statistics,
    class_calibration,
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    mean_confidence,
    negative_log_likelihood,
    reliability_curve,
)

from .brute_force import brute_force

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())["cases"]


def measured(statistics):
    return {
        "ece": expected_calibration_error(statistics),
        "ece_l2": expected_calibration_error(statistics, norm="l2"),
        "mce": maximum_calibration_error(statistics),
        "adaptive_ece": adaptive_calibration_error(statistics),
        "classwise_ece": classwise_calibration_error(statistics),
        "nll": negative_log_likelihood(statistics),
        "brier": brier_score(statistics),
        "accuracy": accuracy(statistics),
        "confidence": mean_confidence(statistics),
        "gap": calibration_gap(statistics),
    }


def batch(*shape, seed=0, scale=3.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    right = torch.rand(target.shape, generator=generator) < 0.4
    return logits.to(dtype), torch.where(right, logits.argmax(1), target)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"K={len(case['logits_times_10000'][0])}")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_values_of_the_reference_implementation(case, dtype):
    # Made in float32 by github.com/by-liu/CALS, commit d72b31f; hence the tolerance.
    logits = (torch.tensor(case["logits_times_10000"]).double() / 1e4).float().to(dtype)
    values = measured(
        calibration_statistics(logits, torch.tensor(case["labels"]), num_bins=case["n_bins"])
    )
    for name in ("nll", "ece", "classwise_ece", "accuracy"):
        assert float(values[name]) == pytest.approx(case[name], abs=1e-6), name
    # Theirs leaves the least confident sample out.
    assert float(values["adaptive_ece"]) == pytest.approx(case["adaptive_ece"], abs=1 / len(logits))


@pytest.mark.parametrize("num_bins", [1, 2, 10, 15, 100])
@pytest.mark.parametrize("shape", [(1000, 2), (300, 7), (200, 40), (2, 5, 31, 17), (1, 19, 40, 50)])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_brute_force_in_float64(num_bins, shape, dtype, bound):
    logits, target = batch(*shape, dtype=dtype)
    statistics = calibration_statistics(logits, target, num_bins=num_bins)
    values, expected = measured(statistics), brute_force(logits, target, num_bins)
    for name, value in expected.items():
        if name == "adaptive_ece":
            error = adaptive_calibration_error(statistics, return_bound=True)[1]
            assert float(values[name]) == pytest.approx(value, abs=float(error) + bound)
        elif dtype == torch.float64 or not name.endswith(("ece", "mce", "l2")):
            assert float(values[name]) == pytest.approx(value, abs=bound), name
        else:
            # float32 may put a sample that lies at an edge into the other bin.
            assert float(values[name]) == pytest.approx(value, abs=bound + 1 / target.numel()), name


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("num_bins", [5, 15, 30])
@pytest.mark.parametrize("ignore_index", [None, 255, -1, 2])
@pytest.mark.parametrize("shape", [(500, 10), (2, 6, 20, 24)])
def test_torchmetrics_over_all_its_arguments(norm, num_bins, ignore_index, shape):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    logits, target = batch(*shape, dtype=torch.float64)
    if ignore_index is not None:
        target[torch.rand(target.shape) < 0.2] = ignore_index
    theirs = functional.multiclass_calibration_error(
        logits, target, shape[1], n_bins=num_bins, norm=norm, ignore_index=ignore_index
    )
    statistics = calibration_statistics(
        logits, target, num_bins=num_bins, ignore_index=ignore_index
    )
    ours = expected_calibration_error(statistics, norm=norm)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)


def test_a_perfectly_calibrated_set_has_no_error():
    probability = torch.tensor([0.8, 0.2], dtype=torch.float64).expand(10, 2)
    target = torch.tensor([0] * 8 + [1] * 2)
    statistics = calibration_statistics(probability, target, probabilities=True)
    values = measured(statistics)
    for name in ("ece", "mce", "classwise_ece", "adaptive_ece", "gap"):
        assert float(values[name]) == pytest.approx(0, abs=1e-12), name


def test_the_sign_of_the_gap():
    logits = torch.tensor([[5.0, 0.0]]).expand(4, 2)
    right, wrong = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    assert calibration_gap(calibration_statistics(logits, wrong)) > 0.9
    assert calibration_gap(calibration_statistics(logits, right)) < 0


def test_a_higher_temperature_lowers_confidence_and_keeps_accuracy():
    logits, target = batch(2000, 10)
    cool, warm = (calibration_statistics(logits / t, target) for t in (1.0, 2.0))
    assert mean_confidence(warm) < mean_confidence(cool)
    assert accuracy(warm) == accuracy(cool)


def test_classes():
    logits, target = batch(4000, 4, dtype=torch.float64)
    statistics = calibration_statistics(logits, target)
    classes, probability = class_calibration(statistics), logits.softmax(1)
    for k in range(4):
        mine = target == k
        assert classes.samples[k] == mine.sum()
        right = (logits.argmax(1) == k)[mine].double().mean()
        assert float(classes.accuracy[k]) == pytest.approx(float(right))
        sure = probability[:, k] * 15 > 8  # the first edge from 1/2 on
        gap = (probability[sure, k] - mine[sure].double()).mean()
        assert float(classes.gap[k]) == pytest.approx(float(gap), abs=1e-12)
    assert float(classes.error.mean()) == float(classwise_calibration_error(statistics))
    assert class_calibration(statistics + statistics).samples.sum() == 8000


def test_reliability_curve():
    logits, target = batch(300, 6)
    curve = reliability_curve(calibration_statistics(logits, target, num_bins=10))
    assert curve.samples.sum() == 300
    filled = curve.samples > 0
    assert not filled[0]  # with six classes no confidence is below 1/6
    assert curve.confidence[0].isnan() and curve.accuracy[0].isnan()
    assert (curve.confidence[filled] > curve.edges[:-1][filled]).all()
    assert (curve.confidence[filled] <= curve.edges[1:][filled]).all()


def test_no_samples_no_value():
    for value in measured(CalibrationStatistics.zeros(3)).values():
        assert value.isnan()


def test_unknown_arguments_are_refused():
    statistics = calibration_statistics(*batch(5, 3))
    with pytest.raises(ValueError, match="norm must be one of l1, l2, max, got 'l3'"):
        expected_calibration_error(statistics, norm="l3")
    with pytest.raises(ValueError, match="reduction"):
        classwise_calibration_error(statistics, reduction="sum")
