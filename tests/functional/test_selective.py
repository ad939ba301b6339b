"""AURC, accuracy at coverage and the ECE of chance against brute force over single samples."""

import itertools

import numpy as np
import pytest
import torch

from cals_mm.core import CalibrationMeter
from cals_mm.functional import (
    CALIBRATION_VALUES,
    CalibrationStatistics,
    area_under_risk_coverage,
    calibration_error_of_chance,
    calibration_statistics,
    expected_calibration_error,
    risk_coverage_curve,
    selective_accuracy,
)


def samples(count, classes=6, scale=2.0, seed=0):
    """Logits and labels that are right more often where the logits lie further apart."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(count, classes, generator=generator)
    target = torch.distributions.Categorical(logits=0.7 * logits.double()).probs
    return logits, torch.multinomial(target, 1, generator=generator)[:, 0]


def by_hand(logits, target):
    """Correctness in descending order of confidence."""
    probability = logits.double().softmax(1)
    order = torch.argsort(probability.amax(1), descending=True, stable=True)
    return (logits.argmax(1) == target)[order].double()


@pytest.mark.parametrize("count", [1, 7, 500, 20_000])
@pytest.mark.parametrize("scale", [0.5, 2.0, 8.0])
def test_against_sorted_samples(count, scale):
    logits, target = samples(count, scale=scale)
    statistics = calibration_statistics(logits, target)
    correct = by_hand(logits, target)
    number = torch.arange(1, count + 1)
    risk = 1 - correct.cumsum(0) / number
    # Samples within one of 25,000 cells are not ordered.
    assert float(area_under_risk_coverage(statistics)) == pytest.approx(
        float(risk.mean()), abs=1e-4 if count > 100 else 1e-12
    )
    for coverage in (0.1, 0.8, 0.9, 0.95, 1.0):
        first = -(-round(100 * coverage) * count // 100)
        # Only the samples in the cell of the threshold can be the wrong ones.
        inside = int(statistics.cell_count.max()) if count > 100 else 0
        assert float(selective_accuracy(statistics, coverage)) == pytest.approx(
            float(correct[:first].mean()), abs=inside / first + 1e-12
        )
    curve = risk_coverage_curve(statistics)
    assert float(curve.coverage[-1]) == 1.0
    assert float(curve.risk[-1]) == pytest.approx(float(1 - correct.mean()))
    places = (curve.coverage * count).round().long() - 1
    assert torch.allclose(curve.risk, risk[places], atol=1e-3)


def test_ties_count_as_the_mean_over_all_orders():
    # Five samples of one confidence, two of them wrong, behind a more confident right one.
    probabilities = torch.tensor([[0.9, 0.1]] + [[0.7, 0.3]] * 5)
    target = torch.tensor([0, 0, 0, 1, 1, 0])
    statistics = calibration_statistics(probabilities, target, probabilities=True)
    areas, accepted = [], []
    for order in itertools.permutations([0, 0, 0, 1, 1]):
        wrong = np.cumsum([0, *order])
        areas.append(np.mean(wrong / np.arange(1, 7)))
        accepted.append(1 - wrong[3] / 4)
    assert float(area_under_risk_coverage(statistics)) == pytest.approx(np.mean(areas))
    assert float(selective_accuracy(statistics, 0.65)) == pytest.approx(np.mean(accepted))


def test_order_alone_decides_the_area():
    logits, target = samples(3000)
    one, other = (calibration_statistics(part, target) for part in (logits, logits.double() / 3))
    assert float(expected_calibration_error(one)) != pytest.approx(
        float(expected_calibration_error(other)), abs=0.02
    )
    # Dividing logits of several classes moves few samples past each other.
    assert float(area_under_risk_coverage(one)) == pytest.approx(
        float(area_under_risk_coverage(other)), abs=0.02
    )


def test_coverage_must_be_a_share():
    statistics = calibration_statistics(*samples(10))
    for coverage in (0.0, -0.1, 1.1, 80):
        with pytest.raises(ValueError, match=r"share in \(0, 1\]"):
            selective_accuracy(statistics, coverage)


@pytest.mark.parametrize("count", [20, 300, 5000])
@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_the_ece_of_chance_against_drawn_labels(count, scale):
    logits, target = samples(count, scale=scale, seed=1)
    statistics = calibration_statistics(logits, target)
    confidence = logits.softmax(1).amax(1).double().numpy()
    rng = np.random.default_rng(0)
    right = rng.random((4000, count)) < confidence
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    drawn = (
        sum(np.abs((right[:, bins == b] - confidence[bins == b]).sum(1)) for b in range(15)) / count
    )
    error = drawn.std() / np.sqrt(len(drawn))
    found = float(calibration_error_of_chance(statistics))
    assert found == pytest.approx(drawn.mean(), abs=4 * error + 0.01 * drawn.mean())


def test_the_ece_of_chance_is_exact_for_equal_confidences():
    from scipy.stats import binom

    for count, probability in ((1, 0.75), (9, 0.62), (40, 0.975), (3000, 0.9)):
        rows = torch.tensor([[probability, 1 - probability]]).double().expand(count, 2)
        statistics = calibration_statistics(
            rows, torch.zeros(count, dtype=torch.long), probabilities=True
        )
        numbers = np.arange(count + 1)
        weights = binom.pmf(numbers, count, probability)
        exact = (weights * np.abs(numbers - count * probability)).sum() / count
        assert float(calibration_error_of_chance(statistics)) == pytest.approx(exact, rel=1e-6)


def test_a_calibrated_model_shows_it():
    # Labels drawn with the model's own probabilities.
    errors, chance = [], []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(600, 4, generator=generator)
        target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        statistics = calibration_statistics(logits, target)
        errors.append(float(expected_calibration_error(statistics)))
        chance.append(float(calibration_error_of_chance(statistics)))
    assert np.mean(chance) == pytest.approx(np.mean(errors), rel=0.06)


def test_certain_predictions_have_no_chance():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    statistics = calibration_statistics(rows, torch.tensor([0, 1]), probabilities=True)
    assert float(calibration_error_of_chance(statistics)) == 0.0


def test_no_sample_no_value():
    empty = CalibrationStatistics.zeros(3)
    for function in (area_under_risk_coverage, calibration_error_of_chance):
        assert function(empty).isnan()
    assert selective_accuracy(empty, 0.5).isnan()
    assert risk_coverage_curve(empty).coverage.shape == (0,)


def test_memory_does_not_grow_with_the_pixels():
    meter = CalibrationMeter(ignore_index=255)
    sizes = []
    for height in (10, 100, 700):
        generator = torch.Generator().manual_seed(height)
        logits = 3 * torch.randn(1, 5, height, 100, generator=generator)
        meter.update(logits, torch.randint(5, (1, height, 100), generator=generator))
        values = meter.compute()
        sizes.append(sum(part.nbytes for part in meter.statistics.to_dict().values()))
    assert len(set(sizes)) == 1
    assert {"AURC", "ECE_noise", "accuracy_90"} <= set(values) <= set(CALIBRATION_VALUES)
