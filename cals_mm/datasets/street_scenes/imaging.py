"""Turn a clean painting into a photograph with a human annotation."""

import cv2
import numpy as np

from .labels import Label

# Contrast of the surface per class: fine grain and broad stains, in grey levels.
_GRAIN = np.full(256, 5.0, dtype=np.float32)
_STAIN = np.full(256, 8.0, dtype=np.float32)
for _label, _fine, _broad in (
    (Label.ROAD, 5, 7), (Label.SIDEWALK, 7, 8), (Label.BUILDING, 7, 12), (Label.WALL, 8, 12),
    (Label.FENCE, 12, 12), (Label.VEGETATION, 20, 14), (Label.TERRAIN, 14, 13), (Label.SKY, 1, 8),
):  # fmt: skip
    _GRAIN[_label] = _fine
    _STAIN[_label] = _broad


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Draw a smooth random field with unit variance at its grid points.

    Args:
        rng: Source of the field.
        shape: Height and width in pixels.
        cells: Number of grid cells along the height.

    Returns:
        Field of the given shape, float32.
    """
    grid = rng.standard_normal((cells + 1, 2 * cells + 1), dtype=np.float32)
    return cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def photograph(image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add surface texture, cast shadows, exposure, blur and sensor noise.

    Args:
        image: Painting, shape (H, 2H, 3), float32, RGB in [0, 255].
        label: Label map of the painting, shape (H, 2H), uint8.
        rng: Source of randomness.

    Returns:
        Photograph, shape (H, 2H, 3), uint8.
    """
    shape = label.shape
    fine = rng.standard_normal(shape, dtype=np.float32)
    texture = _GRAIN[label] * fine + _STAIN[label] * smooth_noise(rng, shape, 14)
    image = image + texture[..., None]

    shade = smooth_noise(rng, shape, int(rng.integers(2, 6)))
    depth = rng.uniform(0, 0.4)
    image *= (1 - depth * (shade > 0.4) * (label != Label.SKY))[..., None].astype(np.float32)

    light = rng.uniform(0.68, 1.3) * (1 + rng.normal(0, 0.035, 3))
    gamma = rng.uniform(0.8, 1.25)
    image = 255 * np.clip(image / 255 * light, 0, 1) ** gamma
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.35, 0.75))
    noise = rng.uniform(2, 8) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def annotate(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift borders like a hasty annotator.

    Args:
        label: True label map, shape (H, 2H), uint8.
        rng: Source of the shifts.

    Returns:
        Label map with borders shifted by about 0.6 % of the image height, same shape and dtype.
    """
    height, width = label.shape
    reach = 0.006 * height
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    columns += reach * smooth_noise(rng, label.shape, 16)
    rows += reach * smooth_noise(rng, label.shape, 16)
    return cv2.remap(label, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def mount(
    image: np.ndarray, label: np.ndarray, bonnet: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add the car's bonnet at the bottom and the border of the lens, both void.

    Args:
        image: Photograph, shape (H, 2H, 3), uint8.
        label: Label map, shape (H, 2H), uint8.
        bonnet: Height of the bonnet as a fraction of the image height.
        rng: Source of the shading.

    Returns:
        Modified copies of image and label map.
    """
    image, label = image.copy(), label.copy()
    height, width = label.shape
    mask = np.zeros_like(label)
    axes = (round(0.62 * width), max(1, round(2 * bonnet * height)))
    centre = (width // 2, round((1 + bonnet) * height))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    hidden = mask.astype(bool)
    grey = rng.uniform(25, 60) + rng.normal(0, 4, (*label.shape, 1))
    image[hidden] = np.clip(np.broadcast_to(grey, image.shape), 0, 255).astype(np.uint8)[hidden]
    border = max(1, height // 100)
    hidden[:border] = hidden[-border:] = hidden[:, :border] = hidden[:, -border:] = True
    label[hidden] = Label.VOID
    return image, label
