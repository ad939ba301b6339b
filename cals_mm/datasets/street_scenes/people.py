"""Persons, riders, bicycles and motorcycles."""

import numpy as np

from .canvas import Canvas
from .labels import Label
from .materials import car_colour, clothing_colour

_SKIN = (178, 138, 118)


def paint_person(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, label: int = Label.PERSON
) -> None:
    """Paint somebody standing or walking at (x, z), in metres."""
    height = rng.uniform(1.55, 1.9)
    stride = rng.uniform(0.02, 0.3)
    trousers = clothing_colour(rng)
    hip = 0.48 * height
    for side in (-1, 1):
        foot = side * (0.07 + stride / 2)
        leg = [(side * 0.16, hip), (side * 0.01, hip), (foot - 0.07, 0), (foot + 0.07, 0)]
        canvas.billboard(x, z, leg, trousers, label)
    _upper_body(canvas, rng, x, z, hip, height, label)


def _upper_body(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, hip: float, top: float, label: int
) -> None:
    jacket = clothing_colour(rng)
    shoulder = top - 0.3
    right = [(0.19, hip - 0.05), (0.25, shoulder - 0.05), (0.14, shoulder + 0.04)]
    torso = right + [(-dx, y) for dx, y in reversed(right)]
    canvas.billboard(x, z, torso, jacket, label)
    canvas.disc(x, top - 0.13, z, (0.1, 0.14), _SKIN, label)


def paint_two_wheeler(
    canvas: Canvas, rng: np.random.Generator, label: int, x: float, z: float, ridden: bool
) -> None:
    """Paint a bicycle or motorcycle at (x, z), seen from the side, with its rider if it has one.

    Some bicycles look like motorcycles, as electric mopeds do.

    Args:
        canvas: Where to paint.
        rng: Draws colours and poses.
        label: ``Label.BICYCLE`` or ``Label.MOTORCYCLE``.
        x: Lateral position in metres.
        z: Distance in metres.
        ridden: Whether a rider sits on it.
    """
    turn = rng.uniform(0.45, 1.0)  # cosine of the angle under which the side is seen
    motor = label == Label.MOTORCYCLE
    if rng.random() < 0.15:
        motor = not motor
    if ridden:
        lean = rng.uniform(-0.1, 0.1)
        _upper_body(canvas, rng, x + lean, z, 0.85, rng.uniform(1.6, 1.8), Label.RIDER)
        leg = [(-0.13, 0.95), (0.15, 0.95), (0.3 * turn, 0.3), (0.12 * turn, 0.3)]
        canvas.billboard(x, z, leg, clothing_colour(rng), Label.RIDER)
    for side in (-1, 1):
        centre = x + side * turn * 0.55
        radius = (0.34 * turn, 0.34)
        canvas.disc(centre, 0.34, z, radius, (34, 34, 36), label, 0.16 if motor else 0.09)
    paint = car_colour(rng)
    if motor:
        body = [(-0.7, 0.55), (-0.1, 0.4), (0.35, 0.42), (0.6, 1.0), (0.3, 0.85), (-0.65, 0.8)]
    else:
        body = [(-0.5, 0.32), (0.05, 0.3), (0.42, 0.85), (0.36, 1.0), (-0.2, 0.95), (-0.12, 0.8)]
    canvas.billboard(x, z, [(turn * dx, y) for dx, y in body], paint, label)
