"""Prediction sets and the risk threshold: scores by hand, guarantees on data of a known model."""

import math
import sys
from fractions import Fraction

import pytest
import torch
from scipy import stats
from torch import Tensor

from cals_mm.posthoc.conformal import (
    AcceptedErrors,
    PredictionSets,
    RiskThreshold,
    conformal_scores,
    control_risk,
    coverage_range,
)

DRAWS = 200


def known_model(*shape: int, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits of a model that is too sure of itself, and labels from the true probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(*shape, classes, generator=generator, dtype=torch.float64)
    chances = logits.softmax(-1).reshape(-1, classes)
    labels = torch.multinomial(chances, 1, generator=generator).reshape(shape)
    return 3 * logits, labels


# --- sets -----------------------------------------------------------------------------------


def score_by_hand(p: list[float], k: int, score: str, u: float, penalty: float, free: int) -> float:
    if score == "lac":
        return 1 - p[k]
    before = [x for x in p if x > p[k]]
    extra = penalty * max(len(before) + 1 - free, 0) if score == "raps" else 0
    return sum(before) + u * p[k] + extra


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_scores_are_those_of_the_papers(score):
    logits, _ = known_model(6)
    uniform = torch.linspace(0, 1, 6)
    p = logits.softmax(1)
    found = conformal_scores(logits, score, rank_penalty=0.1, free_ranks=2, uniform=uniform)
    same = conformal_scores(
        p, score, rank_penalty=0.1, free_ranks=2, uniform=uniform, probabilities=True
    )
    torch.testing.assert_close(found, same, rtol=0, atol=1e-12)
    for row, chances, u in zip(found.tolist(), p.tolist(), uniform.tolist()):
        expected = [score_by_hand(chances, k, score, u, 0.1, 2) for k in range(5)]
        assert row == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("score", ["aps", "raps"])
def test_sets_that_are_not_randomised_are_the_smallest_that_reach_the_threshold(score):
    logits, target = known_model(400, seed=5)
    sets = PredictionSets(0.9, score, rank_penalty=0).fit(logits, target)
    found, p = sets(logits), logits.softmax(1)
    assert found.gather(1, logits.argmax(1, keepdim=True)).all()
    for row, chances in zip(found, p):
        inside = chances[row].sum()
        assert row.all() or inside >= sets.threshold
        assert row.sum() == 1 or inside - chances[row].min() <= sets.threshold + 1e-12


@pytest.mark.parametrize(
    ("score", "per_class", "randomised"),
    [
        ("lac", False, False),
        ("aps", False, False),
        ("aps", False, True),
        ("raps", False, False),
        ("lac", True, False),
        ("raps", True, True),
    ],
)
def test_coverage_over_many_draws_is_within_the_finite_sample_bounds(score, per_class, randomised):
    held_out, test, coverage = 99, 200, 0.85
    logits, target = known_model(DRAWS, held_out + test, seed=7)
    generator = torch.Generator().manual_seed(1)
    covered, inside, expected = [], 0, []
    for scores, labels in zip(logits, target):
        sets = PredictionSets(coverage, score, per_class=per_class, randomised=randomised)
        sets.fit(scores[:held_out], labels[:held_out], generator=generator)
        found = sets(scores[held_out:], generator=generator)
        labels = labels[held_out:]
        covered.append(found.gather(1, labels[:, None]).double().mean())
        counts = torch.bincount(labels, minlength=5) if per_class else torch.tensor(len(labels))
        if per_class or not inside:
            low, high = coverage_range(sets, counts)
        inside += low <= float(covered[-1]) <= high
        groups = sets.counts.reshape(-1).tolist()
        at_most = [Fraction(sets.rank(n), n + 1) for n in groups]
        shares = [float(c) / test for c in counts.reshape(-1)]
        expected.append(sum(min(float(a), 1) * s for a, s in zip(at_most, shares)))
    mean, error = torch.stack(covered).mean(), torch.stack(covered).std() / math.sqrt(DRAWS)
    # The mean over draws is k / (n + 1), and coverage <= k / (n + 1) <= coverage + 1 / (n + 1).
    assert mean >= coverage - 3 * error
    if not per_class:
        assert mean <= coverage + 1 / (held_out + 1) + 3 * error
    assert abs(mean - sum(expected) / DRAWS) <= 3.5 * error
    # 95 of 100 draws, and at most so many fewer or more as chance allows.
    assert stats.binom.ppf(1e-4, DRAWS, 0.95) <= inside


def test_the_threshold_is_the_right_order_statistic():
    p = torch.rand(99, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = p / p.sum(1, keepdim=True)
    target = torch.zeros(99, dtype=torch.int64)
    scores = (1 - p[:, 0]).sort().values
    for coverage, rank in ((0.9, 90), (0.55, 55), (0.551, 56), (0.99, 99)):
        sets = PredictionSets(coverage).fit(p, target, probabilities=True)
        assert sets.threshold == scores[rank - 1]
    sets = PredictionSets(0.991).fit(p, target, probabilities=True)
    assert sets.threshold == math.inf
    assert sets(p, probabilities=True).all()
    assert coverage_range(sets, torch.tensor(7)) == (1, 1)


def test_a_class_without_samples_is_in_every_set():
    logits, target = known_model(300)
    keep = target != 2
    sets = PredictionSets(0.5, per_class=True).fit(logits[keep], target[keep])
    found = sets(logits)
    assert found[:, 2].all()
    assert not found[:, 0].all()
    assert sets.counts[2] == 0


def test_the_range_is_that_of_the_beta_binomial():
    sets = PredictionSets(0.9).fit(torch.randn(57, 3), torch.arange(57) % 3)
    expected = stats.betabinom(130, sets.rank(57), 58 - sets.rank(57))
    for level in (0.5, 0.95):
        ends = expected.ppf((1 - level) / 2) / 130, expected.ppf((1 + level) / 2) / 130
        assert coverage_range(sets, torch.tensor(130), level) == pytest.approx(ends)


def test_the_range_of_classes_is_that_of_the_sum():
    sets = PredictionSets(0.8, per_class=True)
    sets.fit(torch.randn(60, 3), torch.tensor([0] * 30 + [1] * 27 + [2] * 3))
    counts = (40, 5, 9)
    total = torch.ones(1, dtype=torch.float64)
    for n, m in zip((30, 27, 3), counts):
        k = sets.rank(n)
        mass = [float(j == m) for j in range(m + 1)]
        if k <= n:
            mass = stats.betabinom(m, k, n + 1 - k).pmf(range(m + 1)).tolist()
        grown = torch.zeros(len(total) + m, dtype=torch.float64)
        for j, chance in enumerate(mass):
            grown[j : j + len(total)] += chance * total
        total = grown
    cumulative = total.cumsum(0)
    low, high = coverage_range(sets, torch.tensor(counts))
    assert low == int((cumulative < 0.025).sum()) / 54
    assert high == int((cumulative < 0.975).sum()) / 54


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_may_be_of_any_integer_type(dtype):
    logits, target = known_model(200)
    sets = PredictionSets(0.8).fit(logits, target)
    assert PredictionSets(0.8).fit(logits, target.to(dtype)).threshold == sets.threshold
    maps, labels = images(2)
    errors = AcceptedErrors().update(maps, labels)
    assert torch.equal(AcceptedErrors().update(maps, labels.to(dtype)).wrong, errors.wrong)


@pytest.mark.parametrize("per_class", [False, True])
def test_sets_come_back_from_a_dictionary(per_class):
    logits, target = known_model(200)
    sets = PredictionSets(0.8, "raps", per_class=per_class, free_ranks=1).fit(logits, target)
    again = PredictionSets.from_dict(sets.to_dict())
    assert torch.equal(again(logits), sets(logits))
    assert again.to_dict() == sets.to_dict()


def test_rows_in_parts_give_the_same_sets(monkeypatch):
    logits, target = known_model(50)
    sets = PredictionSets(0.8, "aps").fit(logits, target)
    whole = sets(logits)
    monkeypatch.setattr(sys.modules[PredictionSets.__module__], "_CHUNK", 35)
    assert torch.equal(sets(logits), whole)
    assert sets(logits[:0]).shape == (0, 5)


def test_wrong_sets_get_one_line():
    logits, target = known_model(10)
    for coverage in (0, 1, 90, math.nan):
        with pytest.raises(ValueError, match="coverage must be between 0 and 1, got"):
            PredictionSets(coverage)
    with pytest.raises(ValueError, match="'lac', 'aps' or 'raps', got 'best'"):
        PredictionSets(score="best").fit(logits, target)
    with pytest.raises(ValueError, match="call fit"):
        PredictionSets()(logits)
    with pytest.raises(ValueError, match="N > 0"):
        PredictionSets().fit(logits[:0], target[:0])
    with pytest.raises(ValueError, match=r"labels go from 0 to 9"):
        PredictionSets().fit(logits, torch.arange(10))
    with pytest.raises(ValueError, match="NaN or Inf"):
        PredictionSets().fit(logits / 0, target)
    with pytest.raises(ValueError, match="as at the fit"):
        PredictionSets(per_class=True).fit(logits, target)(logits[:, :3])


# --- risk -----------------------------------------------------------------------------------


def images(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (N, 3, 6, 6) and labels; images differ in how often their pixels are wrong."""
    generator = torch.Generator().manual_seed(seed)
    difficulty = torch.rand(count, 1, 1, generator=generator) ** 3
    logits = 3 * torch.randn(count, 3, 6, 6, generator=generator)
    target = logits.argmax(1)
    doubt = 1 - logits.softmax(1).amax(1)
    flip = torch.rand(count, 6, 6, generator=generator) < 2 * difficulty * doubt
    return logits, torch.where(flip, (target + 1) % 3, target)


def valid_pixels(logits: Tensor, target: Tensor) -> list[tuple[float, bool]]:
    """Confidence of each valid pixel of an image, and whether it is wrong."""
    confidence, predicted = logits.double().softmax(0).max(0)
    valid = target != 255
    return list(zip(confidence[valid].tolist(), (predicted != target)[valid].tolist()))


def loss_by_hand(pixels: list[tuple[float, bool]], threshold: float, min_share: float) -> float:
    accepted = [wrong for confidence, wrong in pixels if confidence >= threshold]
    return sum(accepted) / max(len(accepted), min_share * len(pixels), 1)


def test_the_threshold_is_the_smallest_that_keeps_the_bound():
    logits, target = images(20)
    target[:, 0] = 255
    target[3] = 255  # an image without a valid pixel
    errors = AcceptedErrors().update(logits, target)
    assert len(errors.accepted) == 19
    for risk, min_share in ((0.1, 0.2), (0.12, 0.0)):
        fitted = control_risk(errors, risk, min_share)
        ladder = AcceptedErrors.thresholds.tolist()
        pixels = [valid_pixels(x, y) for x, y in zip(logits, target)]
        worst = [0.0] * 20
        smallest = math.inf
        for t in reversed(ladder):
            here = [loss_by_hand(image, t, min_share) for image in pixels]
            worst = [max(pair) for pair in zip(worst, here)]
            if (sum(worst) + 1) / 20 <= risk:
                smallest = t
        assert fitted == RiskThreshold(risk, smallest, min_share, 19)
        assert 0 < fitted.threshold < math.inf
        accepted = fitted.accept(logits)
        assert torch.equal(accepted, logits.double().softmax(1).amax(1) >= fitted.threshold)
        mean = sum(loss_by_hand(image, smallest, min_share) for image in pixels) / 19
        reached = fitted.reached(errors)
        assert reached["error"] == pytest.approx(mean)
        valid = target != 255
        assert reached["accepted"] == pytest.approx(float(accepted[valid].double().mean()))
        assert reached["pooled_error"] == pytest.approx(
            float((logits.argmax(1) != target)[valid & accepted].double().mean())
        )


def test_the_expected_error_over_many_draws_is_within_the_bound():
    draws, held_out, risk = 100, 24, 0.06
    logits, target = images(draws * (held_out + 1), seed=3)
    errors = AcceptedErrors().update(logits, target)
    kept = []
    for draw in range(draws):
        rows = slice(draw * (held_out + 1), (draw + 1) * (held_out + 1))
        part = AcceptedErrors()
        part._accepted = list(errors.accepted[rows][:-1])
        part._wrong = list(errors.wrong[rows][:-1])
        threshold = control_risk(part, risk).threshold
        new = valid_pixels(logits[rows][-1], target[rows][-1])
        kept.append(loss_by_hand(new, threshold, 0.01))
    mean, error = torch.tensor(kept).mean(), torch.tensor(kept).std() / math.sqrt(draws)
    assert mean <= risk + 2 * error
    # Accepting everything does not keep it, so the bound is the threshold's doing.
    assert (logits.argmax(1) != target).float().mean() > 1.3 * risk
    assert mean > 0


def test_too_few_images_accept_nothing():
    logits, right = perfect(98)
    errors = AcceptedErrors().update(logits, right)
    fitted = control_risk(errors, risk=0.01)
    assert fitted.threshold == math.inf
    assert not fitted.accept(logits).any()
    assert fitted.reached(errors)["accepted"] == 0
    assert control_risk(AcceptedErrors().update(*perfect(99)), risk=0.01).threshold == 0


def perfect(count: int) -> tuple[Tensor, Tensor]:
    logits, _ = images(count)
    return logits, logits.argmax(1)


def test_probabilities_near_one_are_told_apart():
    logits = torch.tensor([[16.0, 0.0], [30.0, 0.0]]).T.reshape(1, 2, 1, 2)
    errors = AcceptedErrors().update(logits, torch.tensor([[[0, 0]]]))
    assert (errors.accepted == 1).any()
    assert logits.softmax(1).amax(1).unique().numel() <= 2


def test_wrong_risks_get_one_line():
    errors = AcceptedErrors().update(*images(3))
    with pytest.raises(ValueError, match="risk must be between 0 and 1, got 1"):
        control_risk(errors, risk=1)
    with pytest.raises(ValueError, match="min_share must be from 0 to 1, got 2"):
        control_risk(errors, min_share=2)
    with pytest.raises(ValueError, match="no held-out image"):
        control_risk(AcceptedErrors())
    logits, target = images(1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        errors.update(logits / 0, target)
    with pytest.raises(ValueError, match=r"need logits \(N, K, H, W\)"):
        errors.update(logits[0], target[0])
