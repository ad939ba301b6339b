"""Figures of drawn images from the sums of each, against the drawn pixels themselves."""

import pytest
import torch

pytest.importorskip("mmengine", reason="MMEngine is not installed")
from cals_mm.benchmark.reporting.bootstrap import POSITION, resampled_image_values
from cals_mm.functional import (
    CALIBRATION_VALUES,
    calibration_statistics,
    calibration_values,
    image_sums,
)
from cals_mm.functional.image_sums import mean_intersection_over_union, resampled_statistics

CLASSES = 5


def image(seed, height=30, width=40):
    """Logits and labels of an image, some of them void, with errors that keep together."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(CLASSES, height, width, generator=generator)
    target = torch.multinomial(logits.flatten(1).T.softmax(1), 1, generator=generator)
    target = target.reshape(height, width)
    target[: seed % 7] = 255
    target[:, seed:] = seed % CLASSES
    return logits, target


@pytest.fixture(scope="module")
def images():
    return [image(seed) for seed in range(1, 9)]


@pytest.fixture(scope="module")
def stacked(images):
    sums = [image_sums(*pair) for pair in images]
    return {name: torch.stack([part[name] for part in sums]) for name in sums[0]}


WEIGHTS = torch.tensor([[1] * 8, [0, 3, 0, 1, 0, 0, 4, 0], [8, 0, 0, 0, 0, 0, 0, 0]])


def drawn_pixels(images, weights):
    """The drawn images as they are, one behind the other."""
    pairs = [pair for pair, times in zip(images, weights.tolist()) for _ in range(times)]
    logits = torch.cat([logits.flatten(1) for logits, _ in pairs], 1)
    return logits.T, torch.cat([target.flatten() for _, target in pairs])


def test_against_the_drawn_pixels(images, stacked):
    for weights, found in zip(WEIGHTS, resampled_statistics(stacked, WEIGHTS), strict=True):
        logits, target = drawn_pixels(images, weights)
        whole = calibration_statistics(logits, target, ignore_index=255)
        assert torch.equal(found.bin_count, whole.bin_count)
        assert torch.equal(found.class_positive, whole.class_positive)
        values = zip(CALIBRATION_VALUES, calibration_values(found), calibration_values(whole))
        for name, mine, exact in values:
            # These are read off the fine cells, of which 32 are merged.
            merged = name.startswith(("aECE", "AURC", "accuracy_", "ECE_noise"))
            assert float(mine) == pytest.approx(float(exact), abs=0.1 if merged else 1e-6), name


def test_mean_intersection_over_union_by_hand(images, stacked):
    found = mean_intersection_over_union(stacked, WEIGHTS)
    for weights, value in zip(WEIGHTS, found.tolist(), strict=True):
        logits, target = drawn_pixels(images, weights)
        predicted = logits.argmax(1)[target != 255]
        target = target[target != 255]
        ratios = []
        for k in range(CLASSES):
            union = ((predicted == k) | (target == k)).sum()
            if union:
                ratios.append(float(((predicted == k) & (target == k)).sum() / union))
        assert value == pytest.approx(sum(ratios) / len(ratios))


def test_the_bootstrap_against_one_that_draws_pixels_of_images(images, stacked):
    # The same seed draws the same images, whoever adds them up.
    figures = resampled_image_values(stacked, stacked, draws=40)
    generator = torch.Generator().manual_seed(0)
    assert len(POSITION) == figures.shape[1] + 1  # two names of the accuracy
    for drawn in figures:
        numbers = torch.randint(8, (8,), generator=generator)
        logits, target = drawn_pixels(images, numbers.bincount(minlength=8))
        whole = calibration_values(calibration_statistics(logits, target, ignore_index=255))
        for name in ("ECE", "cwECE", "gap", "NLL", "Brier", "accuracy"):
            exact = float(whole[list(CALIBRATION_VALUES).index(name)])
            assert float(drawn[POSITION[f"calibration/{name}"]]) == pytest.approx(exact, abs=1e-6)
            assert drawn[POSITION[f"scaled/{name}"]] == drawn[POSITION[f"calibration/{name}"]]


def test_images_are_noisier_than_their_pixels(stacked):
    figures = resampled_image_values(stacked, stacked, draws=300)
    accuracy = figures[:, POSITION["calibration/accuracy"]]
    pixels = int(stacked["bin_count"].sum())
    share = float(stacked["class_correct"].sum()) / pixels
    independent = 100 * (share * (1 - share) / pixels) ** 0.5
    assert float(accuracy.std()) > 2 * independent


def test_size_depends_on_images_and_bins_alone():
    sizes = {
        sum(part.nbytes for part in image_sums(*image(1, height, 50)).values())
        for height in (8, 80, 800)
    }
    assert len(sizes) == 1
    assert sizes.pop() < 40_000
