"""Pictures of single classes and of single images."""

import numpy as np
import pytest
import torch

from cals_mm.functional import CalibrationStatistics, calibration_statistics
from cals_mm.visualization import calibration_by_frequency, class_reliability, confidence_maps
from tests.visualization.test_pictures import assert_picture, count, statistics

ORANGE, BLUE = (213, 94, 0), (0, 114, 178)


def many_classes(num_classes: int) -> CalibrationStatistics:
    torch.manual_seed(0)
    logits = 3 * torch.randn(2000, num_classes)
    return calibration_statistics(logits, torch.randint(0, num_classes, (2000,)))


def test_every_class_has_a_diagram_up_to_24():
    few, many = (class_reliability(many_classes(k)) for k in (3, 24))
    assert_picture(few)
    assert_picture(many)
    assert many.shape[0] > 2 * few.shape[0]
    assert class_reliability(many_classes(100)).shape == many.shape
    assert_picture(class_reliability(CalibrationStatistics.zeros(3), ["a", "b", "c"]))
    with pytest.raises(ValueError, match="2 names do not fit 6 classes"):
        class_reliability(statistics(), ["a", "b"])


def test_over_confident_classes_are_orange_in_the_picture_by_frequency():
    frequency = [1, 10, 100, 1000, 1000, 0]
    names = [f"class number {k}" for k in range(6)]
    over, under = (
        calibration_by_frequency(statistics(scale), frequency, names) for scale in (4.0, 0.3)
    )
    assert_picture(over)
    assert count(over, ORANGE) > 5 * count(under, ORANGE)
    assert_picture(calibration_by_frequency(many_classes(100), np.arange(100)))
    with pytest.raises(ValueError, match=r"\(5,\) frequencies and 6 names do not fit 6 classes"):
        calibration_by_frequency(statistics(), [1] * 5)
    with pytest.raises(ValueError, match="every class has frequency 0"):
        calibration_by_frequency(statistics(), [0] * 6)


def maps(**changes) -> np.ndarray:
    label = np.zeros((20, 30), int)
    label[:, 15:] = 1
    label[:3] = 255
    arguments = dict(
        image=np.full((40, 60, 3), 90, np.uint8),
        label=label,
        prediction=np.zeros((20, 30), int),
        confidence=np.full((20, 30), 0.5, np.float32),
        palette=[[255, 0, 0], [0, 0, 255]],
    )
    return confidence_maps(**{**arguments, **changes})


def test_maps_show_labels_predictions_and_void():
    picture = maps(title="a.png")
    assert_picture(picture)
    assert count(picture, (255, 0, 0)) > 1.8 * count(picture, (0, 0, 255)) > 0
    assert count(picture, (184, 184, 184)) > 3 * count(maps(ignore_index=None), (184, 184, 184))
    # Void belongs to no class, so without it every pixel is one of right and wrong.
    right = maps(prediction=np.where(np.arange(30) < 15, 0, 1)[None].repeat(20, 0))
    assert count(right, ORANGE) < count(picture, ORANGE)
    with pytest.raises(ValueError, match=r"predictions \(1, 2\)"):
        maps(prediction=np.zeros((1, 2), int))
