"""Pictures: their form, that they show what they should, and that they leave pyplot alone."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch

from cals_mm.functional import CalibrationStatistics, calibration_statistics
from cals_mm.visualization import (
    Difference,
    class_error_bars,
    compare_reliability,
    difference_intervals,
    png,
    reliability_diagram,
    risk_coverage,
    save_image,
    state_curves,
)


def statistics(scale=1.0):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2000, 6, generator=generator)
    target = torch.distributions.Categorical(logits=logits).sample()
    return calibration_statistics(scale * logits, target)


def assert_picture(image):
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.flags["C_CONTIGUOUS"]
    assert image.std() > 10
    assert (image[0] == 255).all()  # nothing is cut off at the top
    assert (image[:, 0] == 255).all() and (image[:, -1] == 255).all()


def count(image, colour):
    return (np.abs(image.astype(int) - colour).sum(2) < 30).sum()


def test_risk_and_coverage():
    sums = {f"method {number}": statistics() for number in range(11)}
    assert_picture(risk_coverage(sums))
    with pytest.raises(ValueError, match="no samples to draw"):
        risk_coverage({"nothing": CalibrationStatistics.zeros(3)})


@pytest.mark.parametrize("title", ["", "validation, iteration 40000"])
def test_reliability_diagram(title):
    assert_picture(reliability_diagram(statistics(), title))
    assert_picture(reliability_diagram(CalibrationStatistics.zeros(3), title))


def test_over_confidence_is_drawn_in_orange():
    orange = (213, 94, 0)
    over, calibrated = (reliability_diagram(statistics(scale)) for scale in (3.0, 1.0))
    assert count(over, orange) > 2 * count(calibrated, orange)


def test_comparison_is_wider():
    both = compare_reliability({"cross entropy": statistics(3.0), "CALS": statistics()})
    assert_picture(both)
    assert both.shape[1] > 1.7 * reliability_diagram(statistics()).shape[1]
    with pytest.raises(ValueError, match="no statistics"):
        compare_reliability({})


def test_bars_of_classes():
    two = {"ce": statistics(3.0), "CALS": statistics()}
    assert_picture(class_error_bars(two, [f"class {k}" for k in range(6)]))
    assert_picture(class_error_bars({"ce": CalibrationStatistics.zeros(60)}))
    # The bars of the over-confident model are the higher ones.
    blue, orange = (0, 114, 178), (213, 94, 0)
    picture = class_error_bars(two)
    assert count(picture, blue) > 1.5 * count(picture, orange)
    with pytest.raises(ValueError, match="no statistics"):
        class_error_bars({})
    with pytest.raises(ValueError, match=r"\[5, 6\] classes"):
        class_error_bars(two, list("abcde"))


def test_intervals_are_coloured_by_which_side_is_better():
    blue, orange = (0, 114, 178), (213, 94, 0)
    rows = {"a": Difference(-2.0, -3.0, -1.0), "b": Difference(0.1, -1.0, 1.0)}
    lower = difference_intervals({"ECE": rows}, "ce")
    higher = difference_intervals({"mIoU": rows}, "ce", higher_is_better=["mIoU"])
    assert_picture(lower)
    assert count(lower, blue) > 100 and count(lower, orange) == 0
    assert count(higher, orange) > 100 and count(higher, blue) == 0
    alone = difference_intervals({"ECE": {"a": Difference(-2.0, None, None)}}, "ce")
    assert count(alone, blue) == 0
    with pytest.raises(ValueError, match="no differences"):
        difference_intervals({"ECE": {}}, "ce")


def test_png_keeps_the_picture():
    from PIL import Image

    image = reliability_diagram(statistics())
    data = png(image)
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).mean() < 1


@pytest.mark.parametrize("num_classes", [2, 8, 9, 19, 1000])
@pytest.mark.parametrize("updates", [1, 30])
def test_curves(num_classes, updates):
    generator = np.random.default_rng(0)
    multipliers = generator.random((updates, num_classes)).cumsum(0)
    rho = np.ones((updates, num_classes))
    names = [f"a rather long name of class number {k}" for k in range(num_classes)]
    curves = {"lambda": multipliers, "rho": rho}
    assert_picture(state_curves(range(10, 10 * updates + 1, 10), curves, names))
    curves["lambda"] = torch.tensor(multipliers)
    assert_picture(state_curves(list(range(updates)), curves))


@pytest.mark.parametrize(
    ("steps", "shape", "names"), [([], (0, 3), None), ([1], (2, 3), None), ([1], (1, 3), ["a"])]
)
def test_curves_that_do_not_fit(steps, shape, names):
    with pytest.raises(ValueError):
        state_curves(steps, {"lambda": np.ones(shape), "rho": np.ones(shape)}, names)


def test_pictures_are_written(tmp_path):
    path = tmp_path / "new" / "picture.png"
    save_image(reliability_diagram(statistics()), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_matplotlib_comes_with_the_first_picture_and_without_pyplot():
    program = """
import sys, torch
import cals_mm, cals_mm.visualization as v
from cals_mm.functional import calibration_statistics
assert 'matplotlib' not in sys.modules
v.reliability_diagram(calibration_statistics(torch.eye(4), torch.arange(4)))
assert 'matplotlib.pyplot' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
