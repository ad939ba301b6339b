import math

import pytest
import torch

from cals_mm.core import AdaptiveMargin, AugmentedLagrangian


def feed(lagrangian: AugmentedLagrangian, logits, target, mask=None) -> None:
    statistics = lagrangian.start_dual_epoch()
    statistics.update(logits, mask, target)
    lagrangian.step_(statistics)


def samples(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(50, 4, generator=generator)
    return logits, torch.randint(0, 4, (50,), generator=generator)


def test_moves_against_confidence_minus_accuracy() -> None:
    logits, target = samples(scale=8.0)
    lagrangian = AugmentedLagrangian(4, AdaptiveMargin(start=30.0, gain=1.0))
    feed(lagrangian, logits, target)
    confidence, predicted = logits.double().softmax(1).max(1)
    gap = float(confidence.mean() - (predicted == target).double().mean())
    assert gap > 0.3
    assert lagrangian.margin == pytest.approx(30.0 * math.exp(-gap), rel=1e-6)


def test_under_confidence_raises_it_no_further_than_it_has_an_effect() -> None:
    logits, _ = samples(scale=0.1)
    target = logits.argmax(1)  # always right, never sure
    reach = float((logits.amax(1, keepdim=True) - logits).mean(0).max())
    lagrangian = AugmentedLagrangian(4, AdaptiveMargin(1.5 * reach, margin_min=0.01, headroom=2.0))
    feed(lagrangian, logits, target)
    assert lagrangian.margin == pytest.approx(2 * reach, rel=1e-5)
    lagrangian = AugmentedLagrangian(4, AdaptiveMargin(3 * reach, margin_min=0.01, headroom=2.0))
    feed(lagrangian, logits, target)
    assert lagrangian.margin == pytest.approx(3 * reach, rel=1e-5), "nor does it fall"


def test_over_confidence_lowers_it_no_further_than_the_multipliers_follow() -> None:
    margin = AdaptiveMargin(5.0, gain=2.0, headroom=2.0)
    margin.step_(0.5, reach=8.0)  # 1.84 without the limit
    assert margin.value == 4.0
    margin.step_(0.5, reach=12.0)
    assert margin.value == 4.0, "nor does it rise"
    margin.step_(0.1, reach=4.0)
    assert margin.value == pytest.approx(4.0 * math.exp(-0.2))


@pytest.mark.parametrize("gap, expected", [(1.0, 4.0), (-1.0, 6.0)])
def test_bounds(gap: float, expected: float) -> None:
    margin = AdaptiveMargin(5.0, margin_min=4.0, margin_max=6.0)
    margin.step_(gap, reach=5.0)
    assert margin.value == expected


def test_multipliers_move_first_and_the_violation_is_that_of_the_new_margin() -> None:
    logits, target = samples(scale=8.0)
    fixed = AugmentedLagrangian(4, 20.0)
    adaptive = AugmentedLagrangian(4, AdaptiveMargin(20.0))
    feed(fixed, logits, target)
    feed(adaptive, logits, target)
    assert torch.equal(fixed.multipliers, adaptive.multipliers)
    expected = adaptive.violation(logits).mean(0)
    torch.testing.assert_close(adaptive.previous_violation, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(fixed.previous_violation, expected)


def test_only_valid_labelled_samples_are_compared() -> None:
    logits, target = samples()
    plain, padded = (AugmentedLagrangian(4, AdaptiveMargin(5.0)) for _ in range(2))
    wide = torch.cat([logits, 100 * torch.randn(9, 4)])
    labels = torch.cat([target, torch.full((9,), 255)])
    feed(plain, logits, target)
    feed(padded, wide, labels, labels != 255)
    assert plain.margin == padded.margin
    statistics = padded.start_dual_epoch()
    statistics.update(wide, None, labels)  # every pixel is constrained, void pixels too
    assert int(statistics.count) == 59 and int(statistics.labelled) == 50
    images = plain.start_dual_epoch()
    images.update(logits.T.reshape(1, 4, 5, 10), None, target.reshape(1, 5, 10))
    again = plain.start_dual_epoch()
    again.update(logits, None, target)
    assert images.gap == pytest.approx(again.gap, abs=1e-12)


def test_reset_and_parts_of_a_validation() -> None:
    logits, target = samples()
    lagrangian = AugmentedLagrangian(4, AdaptiveMargin(5.0))
    whole, parts = lagrangian.start_dual_epoch(), lagrangian.start_dual_epoch()
    whole.update(logits, None, target)
    parts.update(logits, None, target)
    parts.reset_()
    assert parts.gap == 0
    for start in range(0, 50, 7):
        parts.update(logits[start : start + 7], None, target[start : start + 7])
    assert parts.gap == pytest.approx(whole.gap, abs=1e-12)
    assert parts.reach == pytest.approx(whole.reach, abs=1e-12)


def test_margin_is_in_the_state() -> None:
    logits, target = samples(scale=8.0)
    lagrangian = AugmentedLagrangian(4, AdaptiveMargin(20.0))
    feed(lagrangian, logits, target)
    again = AugmentedLagrangian(4, AdaptiveMargin(9.0))
    again.load_state_dict(lagrangian.state_dict())
    assert again.margin == lagrangian.margin != 20.0
    feed(lagrangian, logits, target)
    feed(again, logits, target)
    for key, value in lagrangian.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert torch.equal(again.penalty(logits), lagrangian.penalty(logits))
    assert "adaptive_margin.margin" not in AugmentedLagrangian(4).state_dict()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(gain=0.0), "gain must be positive and finite, got 0.0"),
        (dict(start=0.5), "0 < margin_min <= margin <= margin_max, got 1.0, 0.5 and 50.0"),
        (dict(start=60.0), "margin_max, got 1.0, 60.0 and 50.0"),
        (dict(headroom=0.9), "headroom must be at least 1, got 0.9"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdaptiveMargin(**arguments)


def test_labels_are_needed() -> None:
    statistics = AugmentedLagrangian(4, AdaptiveMargin(5.0)).start_dual_epoch()
    with pytest.raises(ValueError, match="needs the labels"):
        statistics.update(torch.zeros(2, 4))
