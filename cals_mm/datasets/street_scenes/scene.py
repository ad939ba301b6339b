"""One street scene from (seed, split, index)."""

from functools import lru_cache

import numpy as np

from ..cityscapes_layout import CLASSES, HELD_OUT_CITIES, TRAIN_IMAGES_PER_CITY, VAL_CITIES
from ..split_names import Split
from .camera import Camera
from .canvas import Canvas
from .imaging import annotate, mount, photograph
from .materials import CityStyle
from .street import draw_side, paint_frontage, paint_ground
from .traffic import paint_objects

__all__ = ["PERIOD", "SPLIT_CITIES", "city_of", "render_scene"]

SPLIT_CITIES: dict[Split, tuple[str, ...]] = {
    "train": ("aachen", "bremen", "cologne", "hamburg", "jena", "stuttgart", "zurich"),
    "val": HELD_OUT_CITIES,
    "test": VAL_CITIES,
}
# Image i of a split always shows class i modulo PERIOD, so rare classes appear in every split of at
# least PERIOD images, but only in few of them. One image per period is left to chance.
PERIOD = len(CLASSES) + 1
_MAX_ATTEMPTS = 50


def city_of(split: Split, index: int) -> str:
    """Name of the city of image ``index`` of a split."""
    cities = SPLIT_CITIES[split]
    return cities[index % len(cities)]


@lru_cache(maxsize=64)
def _style(seed: int, city: str) -> CityStyle:
    number = sorted((*TRAIN_IMAGES_PER_CITY, *VAL_CITIES)).index(city)
    return CityStyle.draw(np.random.default_rng(np.random.SeedSequence([seed, 1, number])))


def render_scene(
    seed: int, split: Split, index: int, height: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Render one street scene; the same arguments always give the same pixels.

    Args:
        seed: Seed of the whole set, at least 0.
        split: ``'train'``, ``'val'`` or ``'test'``.
        index: Number of the image in its split, at least 0.
        height: Image height in pixels; the width is twice that.

    Returns:
        Image (H, 2H, 3), uint8, RGB, and label map (H, 2H), uint8: 0 to 18, or 255 for void.

    Example:
        >>> image, label = render_scene(seed=0, split='train', index=3, height=64)
        >>> image.shape, label.shape
        ((64, 128, 3), (64, 128))
    """
    required = index % PERIOD
    split_number = list(SPLIT_CITIES).index(split)
    style = _style(seed, city_of(split, index))
    for attempt in range(_MAX_ATTEMPTS):
        entropy = [seed, 0, split_number, index, attempt]
        rng = np.random.default_rng(np.random.SeedSequence(entropy))
        image, label = _render(rng, style, height, required)
        # Try again if the object is hidden or outside the frame.
        if required >= len(CLASSES) or (label == required).sum() >= max(4, height**2 // 1500):
            return image, label
    raise RuntimeError(f"no scene shows {CLASSES[required]} after {_MAX_ATTEMPTS} attempts")


def _render(
    rng: np.random.Generator, style: CityStyle, height: int, required: int
) -> tuple[np.ndarray, np.ndarray]:
    camera = Camera(horizon=rng.uniform(0.36, 0.47), vanishing=rng.uniform(0.8, 1.2))
    sky = rng.uniform(150, 235) + rng.normal(0, 6, 3) + rng.uniform(0, 1) * np.array([-30, 0, 25])
    canvas = Canvas(camera, height, haze=sky, visibility=rng.uniform(60, 220))
    sides = [draw_side(rng, sign, required) for sign in (-1, 1)]
    paint_ground(canvas, rng, style, sides, sky)
    for side in sides:
        paint_frontage(canvas, rng, style, side, required)
    paint_objects(canvas, rng, style, sides, required)
    painting, label = canvas.develop()
    image = photograph(painting, label, rng)
    return mount(image, annotate(label, rng), rng.uniform(0.03, 0.06), rng)
