"""Corruptions of images: noise, blur, brightness, contrast and JPEG, five severities each."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

__all__ = ["SEVERITIES", "CorruptImage", "corrupt"]

SEVERITIES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "noise": ((0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.06, 0.08, 0.09, 0.10)),
    "blur": ((1, 2, 3, 4, 6), (0.4, 0.6, 0.7, 0.8, 1)),
    "brightness": ((0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": ((0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15)),
    "jpeg": ((25, 18, 15, 10, 7), (80, 65, 58, 50, 40)),
}
"""Parameter of each severity, for images (ImageNet-C) and for small ones (CIFAR-10-C).

Standard deviation of the noise and shift of the brightness (HSV value) as fractions of white,
standard deviation of the Gaussian blur in pixels, factor of the contrast, quality of the JPEG."""

SMALL = 64
"""Images with a shorter side of less than this many pixels are small."""


def corrupt(image: np.ndarray, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Corrupt an image as in ImageNet-C.

    Args:
        image: (H, W), (H, W, 1) or, in OpenCV's order, (H, W, 3); uint8.
        kind: ``'noise'``, ``'blur'``, ``'brightness'``, ``'contrast'`` or ``'jpeg'``.
        severity: 1 to 5.
        rng: Random numbers of the noise.

    Returns:
        The corrupted image, of the same shape and dtype.

    Raises:
        ValueError: For an unknown kind or severity, or if the image is no uint8.

    Reference:
        Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
        Perturbations, ICLR 2019: Section 4, and the parameters of the authors' code
        (github.com/hendrycks/robustness, make_imagenet_c.py and make_cifar_c.py).

    Example:
        >>> import numpy as np
        >>> image = np.full((80, 80, 3), 100, np.uint8)
        >>> corrupt(image, "brightness", 2, np.random.default_rng(0))[0, 0].tolist()
        [151, 151, 151]
    """
    check(kind, severity)
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise ValueError(
            f"images are corrupted as bytes (H, W, C), got {image.dtype} {image.shape}; corrupt "
            "them before they are normalised"
        )
    parameter = SEVERITIES[kind][min(image.shape[:2]) < SMALL][severity - 1]
    if kind == "jpeg":
        _, code = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(parameter)))
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED)).reshape(image.shape)
    pixels: np.ndarray = image.astype(np.float32) / 255
    if kind == "noise":
        pixels += rng.normal(scale=parameter, size=image.shape).astype(np.float32)
    elif kind == "blur":
        side = 2 * math.ceil(4 * parameter) + 1
        pixels = cv2.GaussianBlur(pixels, (side, side), parameter, borderType=cv2.BORDER_REPLICATE)
    elif kind == "contrast":
        mean = pixels.mean((0, 1), keepdims=True)
        pixels = (pixels - mean) * parameter + mean
    else:
        pixels = _brighter(pixels, parameter)
    return np.asarray(np.rint(255 * pixels.reshape(image.shape).clip(0, 1)), np.uint8)


def check(kind: str, severity: int) -> None:
    """Reject unknown corruptions.

    Raises:
        ValueError: For an unknown kind or severity.
    """
    if kind not in SEVERITIES:
        raise ValueError(f"no corruption is called {kind!r}; there are {', '.join(SEVERITIES)}")
    if severity not in range(1, 6):
        raise ValueError(f"the severity of a corruption is 1 to 5, got {severity}")


def _brighter(pixels: np.ndarray, shift: float) -> np.ndarray:
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return pixels + shift
    hsv = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV)
    hsv[..., 2] = (hsv[..., 2] + shift).clip(0, 1)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


@TRANSFORMS.register_module()
class CorruptImage(BaseTransform):
    """Corrupt the image of a sample, in a pipeline before it is packed.

    The random numbers of an image follow from its place in the data set and the name of its file,
    so they are the same for every model, process and machine.

    Args:
        kind: As of :func:`corrupt`.
        severity: As of :func:`corrupt`.
        seed: Another seed gives other noise.
    """

    def __init__(self, kind: str, severity: int, seed: int = 0) -> None:
        check(kind, severity)
        self.kind = kind
        self.severity = severity
        self.seed = seed

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``results['img']``, uint8."""
        rng = np.random.default_rng([self.seed, zlib.crc32(_key(results).encode())])
        results["img"] = corrupt(results["img"], self.kind, self.severity, rng)
        return results


def _key(results: Mapping[str, Any]) -> str:
    number, path = results.get("sample_idx"), results.get("img_path")
    if number is None and path is None:
        raise ValueError(
            "a sample has neither sample_idx nor img_path, so its noise would depend on the order"
        )
    return f"{number} {Path(path).name if path else ''}"
