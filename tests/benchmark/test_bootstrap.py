"""Intervals against enumeration, closed forms and coverage."""

import itertools
import math

import numpy as np
import pytest
import torch

from cals_mm.benchmark.reporting.bootstrap import (
    POSITION,
    chance_of_a_mark,
    difference_interval,
    resampled_values,
)
from cals_mm.functional import CALIBRATION_VALUES, calibration_statistics, calibration_values


def test_three_seeds_give_the_range_of_the_differences():
    # Each of the 27 resamples has probability 1/27 > 2.5 %: the ends are the extreme ones.
    interval = difference_interval([1.0, 2.0, 4.0], [2.0, 5.0, 4.5])
    assert interval.low == pytest.approx(-3.0)
    assert interval.high == pytest.approx(-0.5)
    assert interval.difference == pytest.approx(-1.5)
    assert interval.over == "seeds"
    assert interval.excludes_zero
    assert not difference_interval([1.0, 2.0, 5.0], [2.0, 5.0, 4.5]).excludes_zero


def test_against_the_enumeration_of_all_resamples():
    pairs = np.array([0.3, -1.2, 2.0, 0.9, -0.1])
    means = [np.mean(pick) for pick in itertools.product(pairs, repeat=5)]
    exact = np.percentile(means, [5, 95])
    interval = difference_interval(pairs, np.zeros(5), level=0.9)
    assert [interval.low, interval.high] == pytest.approx(exact, abs=0.04)


def test_against_the_normal_approximation():
    pairs = np.random.default_rng(1).normal(0.5, 1.0, 400)
    interval = difference_interval(pairs, np.zeros(400))
    half = 1.96 * pairs.std() / math.sqrt(400)
    assert interval.low == pytest.approx(pairs.mean() - half, abs=0.01)
    assert interval.high == pytest.approx(pairs.mean() + half, abs=0.01)


def test_seeds_are_paired():
    # What the seeds have in common does not widen the interval.
    common = np.random.default_rng(2).normal(0, 100, 10)
    interval = difference_interval(common + 1.0, common)
    assert (interval.low, interval.high) == pytest.approx((1.0, 1.0))


def test_one_seed_has_no_interval():
    interval = difference_interval([1.0], [3.0])
    assert (interval.difference, interval.low, interval.high) == (-2.0, None, None)
    assert not interval.excludes_zero


def test_of_equal_seeds_the_samples_are_left():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(1.0, 0.5, (1000, 1)), rng.normal(0.0, 0.5, (1000, 1))
    interval = difference_interval([1.0], [0.0], (ours, theirs))
    half = 1.96 * math.hypot(0.5, 0.5)
    assert interval.low == pytest.approx(1 - half, abs=0.12)
    assert interval.high == pytest.approx(1 + half, abs=0.12)
    assert interval.over == "test samples"


def test_seeds_and_samples_add_up():
    rng = np.random.default_rng(4)
    pairs = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    noise = rng.normal(0, 2.0, (1000, 1))
    interval = difference_interval(pairs, np.zeros(6), (pairs + noise, np.zeros((1000, 6))))
    alone = difference_interval(pairs, np.zeros(6))
    width = math.hypot(1.96 * math.sqrt(pairs.var() / 6), 1.96 * 2.0)
    assert (interval.high - interval.low) / 2 == pytest.approx(width, rel=0.06)
    assert interval.high - interval.low > alone.high - alone.low
    assert interval.over == "seeds and test samples"


def test_the_noise_of_resampling_does_not_move_the_interval():
    rng = np.random.default_rng(5)
    ours = rng.normal(7.0, 1.0, (1000, 2))  # resampled figures 5 above the measured
    interval = difference_interval([2.0, 2.0], [1.0, 1.0], (ours, np.ones((1000, 2))))
    assert (interval.low + interval.high) / 2 == pytest.approx(1.0, abs=0.1)
    assert interval.difference == 1.0


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"\(draws, 2\)"):
        difference_interval([1.0, 2.0], [1.0, 2.0], (np.ones((10, 3)), np.ones((10, 3))))
    with pytest.raises(ValueError, match="one shape"):
        difference_interval([], [])


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
def test_the_chance_of_a_mark_by_trial(seeds):
    rng = np.random.default_rng(seeds)
    trials = 400
    marked = sum(
        difference_interval(rng.standard_normal(seeds), np.zeros(seeds)).excludes_zero
        for _ in range(trials)
    )
    chance = chance_of_a_mark(seeds)
    assert abs(marked / trials - chance) < 4 * (chance * (1 - chance) / trials) ** 0.5


def test_resampled_figures():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(300, 4, generator=generator)
    target = torch.randint(4, (300,), generator=generator)
    draws = resampled_values(logits, target, draws=200)
    assert draws.shape == (200, len(CALIBRATION_VALUES))
    whole = calibration_values(calibration_statistics(logits, target))
    nll = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    column = draws[:, POSITION["calibration/NLL"]]
    assert float(column.mean()) == pytest.approx(float(nll.mean()), abs=0.02)
    assert float(column.std()) == pytest.approx(float(nll.std()) / math.sqrt(300), rel=0.2)
    accuracy = POSITION["accuracy/top1"]
    share = float(whole[accuracy]) / 100
    spread = 100 * math.sqrt(share * (1 - share) / 300)
    assert float(draws[:, accuracy].std()) == pytest.approx(spread, rel=0.2)
    # Other logits, the same samples: that is what makes pairs of runs comparable.
    doubled = resampled_values(2 * logits, target, draws=200)
    assert torch.equal(draws[:, accuracy], doubled[:, accuracy])
