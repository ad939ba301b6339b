"""Corruptions against formulas, and that their noise depends on the image alone."""

import numpy as np
import pytest

pytest.importorskip("mmcv", reason="mmcv is not installed")

from mmengine.registry import TRANSFORMS, DefaultScope

from cals_mm.datasets.corruption import SEVERITIES, CorruptImage, corrupt


def picture(side=96, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (side // 8, side // 8, channels))
    return coarse.repeat(8, 0).repeat(8, 1).astype(np.uint8)


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("shape", [(96, 96, 3), (96, 96, 1), (96, 96), (8, 8, 1), (33, 70, 3)])
@pytest.mark.parametrize("kind", SEVERITIES)
def test_shape_and_dtype_stay_and_severity_grows(kind, shape):
    image = picture(shape[0] // 8 * 8 + 8)[: shape[0], : shape[0]]
    image = np.resize(image, shape)
    before = image.copy()
    distances = []
    for severity in range(1, 6):
        found = corrupt(image, kind, severity, rng())
        assert (found.shape, found.dtype) == (image.shape, np.uint8)
        distances.append(np.abs(found.astype(float) - image).mean())
    assert (image == before).all()
    assert distances[0] > 0
    assert distances == sorted(distances)


def test_noise_has_the_deviation_of_its_severity():
    grey = np.full((300, 300, 3), 128, np.uint8)
    found = corrupt(grey, "noise", 2, rng()).astype(float) / 255
    assert found.std() == pytest.approx(0.12, rel=0.01)
    small = corrupt(grey[:60], "noise", 2, rng()).astype(float) / 255
    assert small.std() == pytest.approx(0.06, rel=0.02)


def test_blur_is_a_convolution_with_a_gaussian():
    point = np.zeros((101, 101), np.uint8)
    point[50, 50] = 255
    found = corrupt(point, "blur", 3, rng()).astype(float) / 255
    distance = np.arange(-50, 51)
    kernel = np.exp(-(distance**2) / (2 * 3**2))
    kernel /= kernel.sum()
    assert np.abs(found - np.outer(kernel, kernel)).max() <= 0.51 / 255
    assert (corrupt(np.full((70, 70, 3), 90, np.uint8), "blur", 5, rng()) == 90).all()


def test_contrast_and_brightness_by_hand():
    image = picture()
    exact = image.astype(float)
    mean = exact.mean((0, 1))
    found = corrupt(image, "contrast", 2, rng())
    assert np.abs(found - (0.3 * (exact - mean) + mean)).max() <= 0.51
    # Value of HSV is the largest channel; hue and saturation keep the ratios to it.
    value = exact.max(2, keepdims=True) / 255
    brighter = exact * np.minimum(value + 0.2, 1) / value
    assert np.abs(corrupt(image, "brightness", 2, rng()) - brighter).max() <= 1
    grey = picture(channels=1)
    expected = np.minimum(grey + 0.2 * 255, 255)
    assert np.abs(corrupt(grey, "brightness", 2, rng()) - expected).max() <= 0.51


def test_jpeg_is_that_of_its_quality():
    import io

    from PIL import Image

    image = picture()
    stream = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(stream, "JPEG", quality=15)
    other = np.asarray(Image.open(stream))[..., ::-1].astype(float)
    found = corrupt(image, "jpeg", 3, rng())
    distance = np.abs(found - other).mean()
    assert distance < 2 < np.abs(found.astype(float) - image).mean()


def test_the_noise_is_that_of_the_image():
    def noisy(number, path="a.png", severity=3, seed=0):
        results = {"img": np.full((70, 70, 3), 128, np.uint8), "sample_idx": number}
        transform = CorruptImage("noise", severity, seed)
        return transform({**results, "img_path": f"/anywhere/{path}"})["img"].astype(int)

    first = noisy(4)
    noisy(9)
    assert (noisy(4) == first).all(), "not of what came before"
    for other in (noisy(5), noisy(4, "b.png"), noisy(4, seed=1)):
        assert (other != first).any()
    # A higher severity is more of the same noise.
    correlation = np.corrcoef((noisy(4, severity=1) - 128).ravel(), (first - 128).ravel())[0, 1]
    assert correlation > 0.95
    with pytest.raises(ValueError, match="neither sample_idx nor img_path"):
        CorruptImage("noise", 1)({"img": np.zeros((8, 8), np.uint8)})


def test_unknown_corruptions_and_images_are_refused():
    with pytest.raises(ValueError, match="no corruption is called 'rain'; there are noise, blur"):
        CorruptImage("rain", 1)
    for severity in (0, 6):
        with pytest.raises(ValueError, match="1 to 5"):
            CorruptImage("blur", severity)
    with pytest.raises(ValueError, match="before they are normalised"):
        corrupt(np.zeros((8, 8, 3), np.float32), "blur", 1, rng())


@pytest.mark.parametrize("scope", ["mmseg", "mmpretrain"])
def test_is_found_from_every_scope_by_its_path(scope):
    with DefaultScope.overwrite_default_scope(scope):
        built = TRANSFORMS.build(
            {"type": "cals_mm.datasets.corruption.CorruptImage", "kind": "blur", "severity": 1}
        )
    assert isinstance(built, CorruptImage)
