"""The street: ground, both sides, and the view at its end."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .canvas import Canvas
from .labels import Label
from .materials import CityStyle
from .roadside import paint_barrier, paint_building, paint_bushes

_FARTHEST = 95.0  # metres
# Probability that a side of the street has it.
_PROBABILITY = {Label.TERRAIN: 0.2, Label.WALL: 0.12, Label.FENCE: 0.16}


@dataclass(frozen=True)
class StreetSide:
    """One side of the street; positions in metres, signed.

    Args:
        curb: Edge of the road.
        parking: Outer edge of the parking strip, which equals ``curb`` where there is none.
        walk: Outer edge of the sidewalk.
        verge: Outer edge of the green strip, which equals ``walk`` where there is none.
        front: Where buildings stand.
    """

    curb: float
    parking: float
    walk: float
    verge: float
    front: float


def draw_side(rng: np.random.Generator, sign: int, required: int) -> StreetSide:
    """Draw the left (``sign`` -1) or right (+1) side; it has a verge if terrain is required."""
    curb = rng.uniform(4.2, 6.5) if sign < 0 else rng.uniform(2.0, 4.0)
    parking = curb + (rng.uniform(1.6, 2.4) if rng.random() < 0.55 else 0)
    walk = parking + rng.uniform(1.8, 4.0)
    green = required == Label.TERRAIN or rng.random() < _PROBABILITY[Label.TERRAIN]
    verge = walk + (rng.uniform(1.0, 7.0) if green else 0)
    front = verge + (rng.uniform(1.0, 5.0) if rng.random() < 0.4 else 0.4)
    return StreetSide(*(sign * x for x in (curb, parking, walk, verge, front)))


def _strip(canvas: Canvas, x0: float, x1: float, colour: np.ndarray, label: int) -> None:
    """Paint a strip of ground along the street, bottom of the image to the horizon."""
    near, far = 1.2, 400.0  # the near end is below the bottom of the image
    corners = [(x0, 0.0, near), (x1, 0.0, near), (x1, 0.0, far), (x0, 0.0, far)]
    canvas.fill([canvas.camera.project(corners)], colour, label, 8.0)


def paint_ground(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, sides: list[StreetSide],
    sky: np.ndarray,
) -> None:  # fmt: skip
    """Paint sky, far end and everything flat, which needs no depth order."""
    horizon = canvas.camera.horizon
    canvas.gradient(sky * rng.uniform(0.75, 1.0), np.minimum(sky * 1.08, 255), horizon, Label.SKY)
    _paint_backdrop(canvas, rng, style)
    field = Label.TERRAIN if rng.random() < 0.2 else Label.SIDEWALK
    ground = style.colour(rng, "terrain" if field == Label.TERRAIN else "sidewalk")
    whole = np.array([(0, horizon), (2, horizon), (2, 1), (0, 1)])
    canvas.fill([whole], ground, field, 20.0)
    for side in sides:
        _strip(canvas, side.walk, side.verge, style.colour(rng, "terrain"), Label.TERRAIN)
        _strip(canvas, side.parking, side.walk, style.colour(rng, "sidewalk"), Label.SIDEWALK)
        # Annotators disagree about paved parking strips, and the image does not decide it.
        label = Label.SIDEWALK if rng.random() < 0.5 else Label.ROAD
        _strip(canvas, side.curb, side.parking, style.colour(rng, "parking"), label)
    _strip(canvas, sides[0].curb, sides[1].curb, style.colour(rng, "road"), Label.ROAD)
    _paint_markings(canvas, rng, sides)


def _paint_markings(canvas: Canvas, rng: np.random.Generator, sides: list[StreetSide]) -> None:
    middle = (sides[0].curb + sides[1].curb) / 2
    step = rng.uniform(4, 9)
    paint = rng.uniform(150, 225)
    for z in np.arange(rng.uniform(2, 5), 45, step):
        quad = [(middle - 0.08, 0.0, z), (middle + 0.08, 0.0, z),
                (middle + 0.08, 0.0, z + step / 2), (middle - 0.08, 0.0, z + step / 2)]  # fmt: skip
        canvas.polygon(quad, (paint, paint, paint), None)


def _paint_backdrop(canvas: Canvas, rng: np.random.Generator, style: CityStyle) -> None:
    """Paint the backdrop at the end of the street."""
    horizon = canvas.camera.horizon
    edge = 0.0
    while edge < 2:
        width = rng.uniform(0.05, 0.25)
        green = rng.random() < 0.5
        top = horizon - rng.uniform(0.01, 0.12)
        shape = np.array([(edge, horizon + 0.01), (edge, top), (edge + width, top),
                          (edge + width, horizon + 0.01)])  # fmt: skip
        colour = style.colour(rng, "vegetation" if green else "facade")
        canvas.fill([shape], colour, Label.VEGETATION if green else Label.BUILDING, 90.0)
        edge += width


def paint_frontage(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, side: StreetSide, required: int
) -> None:
    """Paint the plots of one side, far to near, then what stands before them."""
    edges = [rng.uniform(1.5, 10)]
    while edges[-1] < _FARTHEST:
        edges.append(edges[-1] + rng.uniform(7, 20))
    for z0, z1 in reversed(list(pairwise(edges))):
        if rng.random() < style.building_density:
            x = side.front + np.sign(side.front) * rng.uniform(0, 0.8)
            paint_building(canvas, rng, style, x, z0, z1)
        elif rng.random() < 0.75:
            paint_bushes(canvas, rng, style, side.front, z0, z1)
    for label in (Label.WALL, Label.FENCE):
        if required == label or rng.random() < _PROBABILITY[label]:
            z0 = rng.uniform(3, 18)
            x = side.verge + 0.2 * np.sign(side.verge)
            paint_barrier(canvas, rng, style, label, x, z0, z0 + rng.uniform(6, 22))
    if rng.random() < 0.15:
        z0 = rng.uniform(4, 25)
        paint_bushes(canvas, rng, style, side.walk, z0, z0 + rng.uniform(3, 12))
