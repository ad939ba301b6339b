"""The automatic margin: its steps in closed form, a toy on which it closes the gap."""

import math

import pytest
import torch

from cals_mm.core import AugmentedLagrangian, AutoMargin, HeldOutConfidence
from cals_mm.functional import cals_loss


def seen(
    temperature: float, distance: float = 8.0, accuracy: float = 0.7, gap: float | None = None
) -> HeldOutConfidence:
    if gap is None:
        gap = 0.05 * ((temperature > 1) - (temperature < 1))
    return HeldOutConfidence(accuracy, gap, 0.01, temperature, distance)


def engaged(start: float, **options) -> AutoMargin:
    margin = AutoMargin(start, **options)
    margin.engaged.fill_(True)
    return margin


@pytest.mark.parametrize(
    "start, temperature, distance, gap, expected",
    [
        (8.0, 1.25, 9.0, None, 6.4),  # m / T
        (8.0, 0.8, 9.0, None, 10.0),
        (8.0, 1.1, 9.0, 0.01, 8.0),  # within a standard error
        (8.0, 0.9, 9.0, -0.01, 8.0),
        (8.0, 1.25, 9.0, 0.011, 6.4),  # beyond one the whole gap counts
        (8.0, 1.0, 1.0, None, 8.0),
        (8.0, 4.0, 20.0, None, 4.0),  # no more than half
        (8.0, 0.25, 20.0, None, 16.0),  # no more than twice
        (12.0, 1.05, 6.3, None, 6.6),  # out of reach: down to 1.1 times the suggestion of 6
        (8.0, 0.8, 4.8, None, 8.0),  # up no further than 1.1 times the suggestion of 6
        (6.0, 0.8, 4.8, None, 6.6),
        (6.0, 2.0, 16.0, None, 4.0),  # no lower than half of the suggestion of 8
        (3.0, 2.0, 16.0, None, 3.0),  # and not raised to it
        (1.5, 2.0, 2.0, None, 1.0),  # bounds
        (40.0, 0.5, 40.0, None, 50.0),
    ],
)
def test_steps(start, temperature, distance, gap, expected) -> None:
    margin = engaged(start)
    margin.step_(seen(temperature, distance, gap=gap))
    assert margin.value == pytest.approx(expected, rel=1e-6)
    assert float(margin.temperature) == pytest.approx(temperature)


def test_the_first_fall_goes_to_the_suggestion() -> None:
    margin = AutoMargin()
    for _ in range(2):
        margin.step_(seen(1.25, distance=7.0))
    assert margin.value == pytest.approx(5.6)
    margin = AutoMargin()
    for _ in range(2):
        margin.step_(seen(1.5, distance=3.0))
    assert margin.value == 5.0, "but no further than to half"


def test_it_stays_where_there_is_no_over_confidence() -> None:
    margin = AutoMargin()
    for temperature in (0.5, 0.8, 1.0, 0.9, 1.0):
        margin.step_(seen(temperature, distance=4.0))
    margin.step_(seen(1.1, distance=4.0, gap=0.01))
    assert margin.value == 10.0
    assert "not over-confident: the margin stays out of reach" in margin.remark()


def test_a_moment_of_over_confidence_while_the_accuracy_rises_faster() -> None:
    margin = AutoMargin()
    margin.step_(seen(1.2, accuracy=0.5))
    margin.step_(seen(0.9, accuracy=0.6))
    margin.step_(seen(1.2, accuracy=0.66))
    assert margin.value == 10.0
    assert "waits whether the over-confidence lasts" in margin.remark()
    margin.step_(seen(1.2, accuracy=0.72))
    assert margin.value == pytest.approx(8.0 / 1.2), "twice in a row"
    assert margin.remark() == ""
    large = AutoMargin()
    large.step_(seen(1.2, accuracy=0.6))
    large.step_(seen(0.9, accuracy=0.6))
    large.step_(seen(1.2, accuracy=0.66, gap=0.07))
    assert large.engaged, "the gap is larger than the rise"


@pytest.mark.parametrize(
    "before, temperature, expected",
    [
        (1.2, 1.2, 8 / 1.2),
        (1.1, 1.331, 8 / 1.331 / 1.1),  # it rose by 1.21
        (0.9, 1.2, 8 / 1.2 / 1.2**0.5),  # from 1: what rose below it was under-confidence
        (1.3, 1.2, 8 / 1.2),  # it falls
    ],
)
def test_the_first_fall_expects_half_of_the_last_rise_to_come_again(before, temperature, expected):
    margin = AutoMargin()
    margin.step_(seen(before, accuracy=0.5))
    assert margin.value == 10.0
    margin.step_(seen(temperature, accuracy=0.5))
    assert margin.value == pytest.approx(expected)
    margin.step_(seen(1.5 * temperature, accuracy=0.5))
    assert margin.value == pytest.approx(expected / temperature / 1.5), "the first alone"


def test_a_start_that_is_too_small_rises_without_over_confidence() -> None:
    margin = AutoMargin(2.0)
    margin.step_(seen(0.8, distance=2.0))
    assert margin.value == pytest.approx(2.5)


@pytest.mark.parametrize("start", [2.0, 10.0, 50.0])
def test_the_gap_closes_within_ten_validations(start: float) -> None:
    """Free logits of samples whose training labels are wrong in a fifth of the cases.

    Cross entropy learns the wrong labels too, and its confidence goes to 1.
    """
    generator = torch.Generator().manual_seed(0)
    count, classes = 2000, 4
    true = torch.randint(0, classes, (count,), generator=generator)
    wrong = (true + torch.randint(1, classes, (count,), generator=generator)) % classes
    train = torch.where(torch.rand(count, generator=generator) < 0.2, wrong, true)
    logits = (0.01 * torch.randn(count, classes, generator=generator)).requires_grad_()
    lagrangian = AugmentedLagrangian(classes, AutoMargin(start))
    optimiser = torch.optim.SGD([logits], lr=0.5 * count, momentum=0.9)
    gaps = []
    for _ in range(10):
        for _ in range(60):
            optimiser.zero_grad()
            loss = cals_loss(logits, train, *lagrangian.coefficients(), lagrangian.margin)
            loss.backward()
            optimiser.step()
        statistics = lagrangian.start_dual_epoch()
        statistics.update(logits.detach(), None, true)
        seen_now = statistics.confidence()
        gaps.append(seen_now.gap)
        lagrangian.step_(statistics)
    assert gaps[0] > 0.05
    assert abs(gaps[-1]) < 2 * seen_now.gap_error < 0.02


def samples(scale: float = 8.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(50, 4, generator=generator)
    target = torch.randint(0, 4, (50,), generator=generator)
    return logits, torch.where(torch.arange(50) < 25, logits.argmax(1), target)


def feed(lagrangian: AugmentedLagrangian, logits, target, mask=None) -> None:
    statistics = lagrangian.start_dual_epoch()
    statistics.update(logits, mask, target)
    lagrangian.step_(statistics)


def test_confidence_of_a_validation() -> None:
    logits, target = samples()
    statistics = AugmentedLagrangian(4, AutoMargin()).start_dual_epoch()
    for start in range(0, 50, 7):
        statistics.update(logits[start : start + 7], None, target[start : start + 7])
    now = statistics.all_reduce_().confidence()
    confidence, predicted = logits.double().softmax(1).max(1)
    correct = (predicted == target).double()
    assert now.accuracy == pytest.approx(float(correct.mean()))
    assert now.gap == pytest.approx(float((confidence - correct).mean()))
    root = math.sqrt(50)
    assert now.gap_error == pytest.approx(float((confidence - correct).std(correction=0)) / root)
    scaled = (logits.double() / now.temperature).softmax(1).amax(1).mean()
    assert float(scaled) == pytest.approx(now.accuracy, abs=1e-6)
    distances = (logits.amax(1, keepdim=True) - logits).sum(1) / 3
    assert now.distance == pytest.approx(float(distances.median()))


def test_pixels_of_an_image_are_one_draw() -> None:
    """Repeating each sample as the pixels of an image does not make it surer."""
    logits, target = samples()
    single = AugmentedLagrangian(4, AutoMargin()).start_dual_epoch()
    single.update(logits, None, target)
    images = AugmentedLagrangian(4, AutoMargin()).start_dual_epoch()
    for scores, label in zip(logits, target, strict=True):
        images.update(scores.view(1, 4, 1, 1).expand(1, 4, 5, 6), None, label.expand(1, 5, 6))
    left, right = single.confidence(), images.confidence()
    assert len(images.sample.target) == 1500
    torch.testing.assert_close(torch.tensor(left), torch.tensor(right))


def test_a_margin_within_the_noise_does_not_move() -> None:
    logits = torch.zeros(50, 4)
    logits[:, 0] = math.log(0.75 * 3 / 0.25)
    target = torch.tensor([0] * 36 + [1] * 14)  # 72 percent; confidence 75
    lagrangian = AugmentedLagrangian(4, engaged(2.0))
    feed(lagrangian, logits, target)
    assert lagrangian.margin == 2.0
    assert float(lagrangian.auto_margin.gap) == pytest.approx(0.03, abs=1e-6)
    assert float(lagrangian.auto_margin.temperature) > 1


def test_multipliers_move_first_and_the_violation_is_that_of_the_new_margin() -> None:
    logits, target = samples()
    fixed, auto = AugmentedLagrangian(4, 20.0), AugmentedLagrangian(4, engaged(20.0))
    feed(fixed, logits, target)
    feed(auto, logits, target)
    assert auto.margin < 20
    assert torch.equal(fixed.multipliers, auto.multipliers)
    expected = auto.violation(logits).mean(0)
    torch.testing.assert_close(auto.previous_violation, expected, rtol=1e-5, atol=1e-5)


def test_only_valid_labelled_samples_are_compared() -> None:
    logits, target = samples()
    plain, padded = (AugmentedLagrangian(4, engaged(20.0)) for _ in range(2))
    wide = torch.cat([logits, 100 * torch.randn(9, 4)])
    labels = torch.cat([target, torch.full((9,), 255)])
    feed(plain, logits, target)
    feed(padded, wide, labels, labels != 255)
    assert plain.margin == padded.margin < 20
    statistics = padded.start_dual_epoch()
    statistics.update(wide, None, labels)  # every pixel is constrained, void pixels too
    assert int(statistics.count) == 59 and len(statistics.sample.target) == 50
    statistics.reset_()
    assert statistics.confidence() is None
    feed(padded, wide, torch.full_like(labels, 255))  # nothing to compare with: it stays
    assert padded.margin == plain.margin


def test_it_is_in_the_state() -> None:
    logits, target = samples()
    lagrangian = AugmentedLagrangian(4, AutoMargin(20.0))
    for _ in range(2):
        feed(lagrangian, logits, target)
    again = AugmentedLagrangian(4, AutoMargin(9.0))
    again.load_state_dict(lagrangian.state_dict())
    assert again.margin == lagrangian.margin < 20
    feed(lagrangian, logits, target)
    feed(again, logits, target)
    for key, value in lagrangian.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert torch.equal(again.penalty(logits), lagrangian.penalty(logits))
    assert not any("auto_margin" in key for key in AugmentedLagrangian(4).state_dict())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(largest_step=1.0), "largest_step must be greater than 1, got 1.0"),
        (dict(slack=0.9), "slack must be at least 1, got 0.9"),
        (dict(errors=-1.0), "errors must be at least 0, got -1.0"),
        (dict(start=0.5), "0 < margin_min <= margin <= margin_max, got 1.0, 0.5 and 50.0"),
        (dict(start=60.0), "margin_max, got 1.0, 60.0 and 50.0"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AutoMargin(**arguments)


def test_labels_are_needed() -> None:
    statistics = AugmentedLagrangian(4, AutoMargin()).start_dual_epoch()
    with pytest.raises(ValueError, match="needs the labels"):
        statistics.update(torch.zeros(2, 4))
