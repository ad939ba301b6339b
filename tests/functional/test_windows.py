"""Shares of labels in windows, pixel by pixel."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from cals_mm.functional._windows import MEAN, LabelWindows, Window, gaussian_window
from tests.functional.windows_by_hand import label_shares

CLASSES = 4
GAUSSIAN = gaussian_window(1.3)
WIDE = Window((0.1, 0.5, 1.0, 0.4, 0.2), own=0.7)


def labels(height: int = 6, width: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, CLASSES, (2, height, width), generator=generator)
    valid = torch.rand(target.shape, generator=generator) > 0.3
    valid[0, :3, :3] = False  # a window without a labelled pixel
    return target, valid


def whole(windows: LabelWindows, height: int, rows: int | None = None) -> Tensor:
    step = rows or height
    bands = [slice(start, min(start + step, height)) for start in range(0, height, step)]
    return torch.stack([torch.cat([windows.shares(i, band) for band in bands], 1) for i in (0, 1)])


@pytest.mark.parametrize("padding", ["labelled", "zeros", "nearest", "empty"])
@pytest.mark.parametrize("window", [MEAN, GAUSSIAN, WIDE], ids=["mean", "gaussian", "wide"])
@pytest.mark.parametrize("shape", [(6, 7), (1, 5), (5, 1), (1, 1), (2, 2)])
def test_shares_are_those_counted_by_hand(
    window: Window, padding: str, shape: tuple[int, int]
) -> None:
    target, valid = labels(*shape)
    for mask in (valid, None):
        windows = LabelWindows(target, mask, CLASSES, window, padding, torch.float64)
        expected = label_shares(target, mask, CLASSES, window, padding)
        torch.testing.assert_close(whole(windows, shape[0]), expected, rtol=1e-12, atol=1e-12)
        assert torch.equal(whole(windows, shape[0], rows=2), whole(windows, shape[0]))


def test_void_pixels_may_hold_any_label() -> None:
    target, valid = labels()
    noise = target.masked_fill(~valid, 1_000_000)
    one, other = (LabelWindows(t, valid, CLASSES) for t in (target, noise))
    assert torch.equal(whole(one, 6), whole(other, 6))


def test_many_classes_are_not_mixed_up() -> None:
    target = torch.tensor([[[0, 256, 299]]]).repeat(2, 1, 1)
    shares = whole(LabelWindows(target, None, 300), 1)
    assert shares[0, :, 0, 1].nonzero().flatten().tolist() == [0, 256, 299]
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 1, 3))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_the_gaussian_weighs_the_centre_as_much_as_its_neighbours(sigma: float) -> None:
    window = gaussian_window(sigma)
    around = [math.exp(-(i * i + j * j) / (2 * sigma**2)) for i, j in product((-1, 0, 1), repeat=2)]
    assert window.total == pytest.approx(2 * (sum(around) - 1))
    assert window.taps[1] ** 2 + window.own == pytest.approx(sum(around) - 1)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan, True])
def test_bad_widths_are_named(sigma: float) -> None:
    with pytest.raises(ValueError, match=f"sigma must be .* got {sigma!r}"):
        gaussian_window(sigma)
