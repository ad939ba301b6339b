"""Shares of labels and regions by their definitions: loops over pixels, float64."""

from itertools import product

import torch
from torch import Tensor

from cals_mm.functional._windows import Window


def label_shares(
    target: Tensor, valid: Tensor | None, classes: int, window: Window, padding: str
) -> Tensor:
    """Shares of the labels in the window around each pixel, (N, K, H, W), pixel by pixel."""
    images, height, width = target.shape
    reach = window.reach
    shares = torch.zeros(images, classes, height, width, dtype=torch.float64)
    for n, i, j in product(range(images), range(height), range(width)):
        total = 0.0
        for a, b in product(range(-reach, reach + 1), repeat=2):
            weight = window.taps[a + reach] * window.taps[b + reach]
            weight += window.own if a == b == 0 else 0.0
            y, x = i + a, j + b
            inside = 0 <= y < height and 0 <= x < width
            if padding == "nearest":
                y, x, inside = min(max(y, 0), height - 1), min(max(x, 0), width - 1), True
            if inside and (valid is None or valid[n, y, x]):
                shares[n, target[n, y, x], i, j] += weight
                total += weight
            elif not inside and padding in ("zeros", "empty"):
                shares[n, 0, i, j] += weight if padding == "zeros" else 0.0
                total += weight
        if total:
            shares[n, :, i, j] /= total
    return shares


def is_boundary(target: Tensor, valid: Tensor, padding: str) -> Tensor:
    """Whether the window of each pixel holds several labels, (N, H, W) bool."""
    images, height, width = target.shape
    boundary = torch.zeros_like(valid)
    for n, i, j in product(range(images), range(height), range(width)):
        seen = set()
        for y, x in product(range(i - 1, i + 2), range(j - 1, j + 2)):
            if 0 <= y < height and 0 <= x < width:
                if valid[n, y, x]:
                    seen.add(int(target[n, y, x]))
            elif padding == "zeros":
                seen.add(0)
        boundary[n, i, j] = valid[n, i, j] and len(seen) > 1
    return boundary
