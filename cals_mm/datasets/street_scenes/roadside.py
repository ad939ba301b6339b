"""Objects along the street: buildings, walls, fences, trees, poles, signs and traffic lights."""

import numpy as np

from .canvas import Canvas
from .cuboid import SIDE_SHADE, Cuboid
from .labels import Label
from .materials import CityStyle


def paint_building(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, x: float, z0: float, z1: float
) -> None:
    """Paint a building with rows of windows.

    Args:
        canvas: Where to paint.
        rng: Draws height, colour and windows.
        style: Colours of the city.
        x: Facade's lateral position in metres; its sign is the side of the street.
        z0: Near end in metres.
        z1: Far end in metres.
    """
    height = rng.uniform(6, 17)
    colour = style.colour(rng, "facade")
    outer = x + np.sign(x) * 14
    box = Cuboid(min(x, outer), max(x, outer), 0, height, z0, z1)
    box.paint(canvas, colour, Label.BUILDING)
    plinth = colour * rng.uniform(0.6, 1.1)
    box.paint_side(canvas, (0, 1, 0, rng.uniform(0.1, 0.25)), SIDE_SHADE * plinth, None)
    glass = np.array([62, 68, 78]) * rng.uniform(0.6, 1.6)
    floors = max(2, round(height / 3))
    columns = max(2, round((z1 - z0) / rng.uniform(2.2, 3.5)))
    panes = [
        box.side_quad(x, (column + 0.25) / columns, (column + 0.75) / columns,
                      (floor + 0.3) / floors, (floor + 0.8) / floors)
        for floor in range(floors) for column in range(columns)
    ]  # fmt: skip
    canvas.fill([canvas.camera.project(pane) for pane in panes], glass, None, z0)


def paint_barrier(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, label: int, x: float, z0: float,
    z1: float,
) -> None:  # fmt: skip
    """Paint a wall or a fence along the street from ``z0`` to ``z1`` metres.

    A fence is painted with gaps, which Cityscapes labels as fence too. Some fences are closed
    panels, which look like walls.
    """
    height = rng.uniform(1.1, 2.6)
    colour = style.colour(rng, "wall" if label == Label.WALL else "fence")
    box = Cuboid(min(x, x + 0.3), max(x, x + 0.3), 0, height, z0, z1)
    box.paint(canvas, colour, label)
    if label == Label.FENCE and rng.random() < 0.65:
        slats = max(3, round((z1 - z0) / 0.8))
        for slat in range(slats):
            bounds = ((slat + 0.3) / slats, (slat + 0.8) / slats, 0.08, 0.9)
            box.paint_side(canvas, bounds, 0.6 * colour, None)


def paint_tree(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, x: float, z: float
) -> None:
    """Paint a tree: a trunk and a crown of overlapping ellipses."""
    trunk = rng.uniform(1.6, 3.2)
    crown = rng.uniform(1.3, 2.8)
    bark = [(-0.14, 0), (0.14, 0), (0.1, trunk + 0.5), (-0.1, trunk + 0.5)]
    canvas.billboard(x, z, bark, (72, 64, 54), Label.VEGETATION)
    colour = style.colour(rng, "vegetation")
    for _ in range(9):
        dx, dy = rng.normal(0, 0.45 * crown, 2)
        radii = tuple(crown * rng.uniform(0.35, 0.65, 2))
        leaves = colour * rng.uniform(0.75, 1.25)
        canvas.disc(x + dx, trunk + crown + 0.8 * dy, z, radii, leaves, Label.VEGETATION)


def paint_bushes(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, x: float, z0: float, z1: float
) -> None:
    """Paint a row of bushes or small trees between ``z0`` and ``z1`` metres."""
    colour = style.colour(rng, "vegetation")
    size = rng.uniform(0.7, 2.6)
    for z in np.arange(z1, z0, -1.1 * size):
        radii = tuple(size * rng.uniform(0.8, 1.3, 2))
        leaves = colour * rng.uniform(0.8, 1.2)
        canvas.disc(x + np.sign(x) * size, 0.8 * size, z, radii, leaves, Label.VEGETATION)


def paint_pole(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, x: float, z: float,
    carries: int | None = None,
) -> None:  # fmt: skip
    """Paint a pole, bare or with a sign or a traffic light.

    Args:
        canvas: Where to paint.
        rng: Draws sizes and colours.
        style: Colours of the city.
        x: Lateral position in metres.
        z: Distance in metres.
        carries: ``Label.TRAFFIC_SIGN``, ``Label.TRAFFIC_LIGHT`` or None.
    """
    top = rng.uniform(2.6, 3.4) if carries is not None else rng.uniform(3.5, 7.5)
    half = rng.uniform(0.05, 0.11)
    shaft = [(-half, 0), (half, 0), (half, top), (-half, top)]
    canvas.billboard(x, z, shaft, style.colour(rng, "pole"), Label.POLE)
    if carries == Label.TRAFFIC_LIGHT:
        case = [(-0.2, top - 0.5), (0.2, top - 0.5), (0.2, top + 0.55), (-0.2, top + 0.55)]
        canvas.billboard(x, z, case, (34, 36, 36), Label.TRAFFIC_LIGHT)
        lit = rng.integers(3)
        colour = ((225, 45, 35), (235, 180, 40), (60, 215, 120))[lit]
        canvas.disc(x, top + 0.35 - 0.32 * lit, z, (0.13, 0.13), colour, None)
    elif carries == Label.TRAFFIC_SIGN:
        _sign(canvas, rng, x, top, z)


def _sign(canvas: Canvas, rng: np.random.Generator, x: float, y: float, z: float) -> None:
    size = rng.uniform(0.3, 0.5)
    if rng.random() < 0.35:
        canvas.disc(x, y, z, (size, size), (190, 40, 42), Label.TRAFFIC_SIGN)
        canvas.disc(x, y, z, (0.65 * size, 0.65 * size), (225, 222, 218), None)
        return
    colour = ((36, 72, 150), (225, 190, 40), (214, 214, 210))[rng.integers(3)]
    plate = [(-size, y - size), (size, y - size), (size, y + size), (-size, y + size)]
    canvas.billboard(x, z, plate, colour, Label.TRAFFIC_SIGN)
