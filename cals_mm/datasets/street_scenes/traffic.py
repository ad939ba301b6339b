"""Everything that stands or moves freely on the street, at plausible places."""

import numpy as np

from .canvas import Canvas
from .cuboid import Cuboid
from .labels import Label
from .materials import CityStyle
from .people import paint_person, paint_two_wheeler
from .roadside import paint_pole, paint_tree
from .street import StreetSide
from .vehicles import paint_vehicle

# Mean number per image of what stands or moves on the street.
_MEAN_COUNT = {
    Label.CAR: 4.0, Label.TRUCK: 0.10, Label.BUS: 0.07, Label.TRAIN: 0.02, Label.PERSON: 3.0,
    Label.RIDER: 0.08, Label.BICYCLE: 0.35, Label.MOTORCYCLE: 0.02, Label.POLE: 3.0,
    Label.TRAFFIC_SIGN: 0.7, Label.TRAFFIC_LIGHT: 0.08,
}  # fmt: skip


def paint_objects(
    canvas: Canvas,
    rng: np.random.Generator,
    style: CityStyle,
    sides: list[StreetSide],
    required: int,
) -> None:
    """Paint everything that stands free, far things first."""
    placed: list[tuple[float, int]] = []
    for label, mean in _MEAN_COUNT.items():
        factor = {Label.CAR: style.traffic, Label.PERSON: style.footfall}.get(label, 1.0)
        for _ in range(rng.poisson(mean * factor)):
            placed.append((_draw_distance(rng), label))
        if label == required:
            placed.append((rng.uniform(7, 16), label))
    for _ in range(rng.poisson(2 * style.tree_density)):
        placed.append((_draw_distance(rng), Label.VEGETATION))
    if rng.random() < 0.3:
        placed.append((rng.uniform(5, 20), Label.VOID))
    for z, kind in sorted(placed, reverse=True):
        side = sides[rng.integers(2)]
        _paint_object(canvas, rng, style, side, kind, z)


def _draw_distance(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(5.0), np.log(60.0))))


def _paint_object(
    canvas: Canvas,
    rng: np.random.Generator,
    style: CityStyle,
    side: StreetSide,
    label: int,
    z: float,
) -> None:
    outwards = np.sign(side.curb)
    on_walk = rng.uniform(min(side.parking, side.walk), max(side.parking, side.walk))
    at_curb = side.parking + 0.3 * outwards
    on_road = side.curb - rng.uniform(0.7, 1.5) * outwards
    if label in (Label.CAR, Label.TRUCK, Label.BUS, Label.TRAIN):
        parked = label == Label.CAR and side.parking != side.curb and rng.random() < 0.7
        x = (side.curb + side.parking) / 2 if parked else side.curb - 1.5 * outwards
        paint_vehicle(canvas, rng, style, label, x, z)
    elif label == Label.PERSON:
        for _ in range(rng.integers(1, 4)):
            x = on_road if rng.random() < 0.1 else on_walk + rng.normal(0, 0.6)
            paint_person(canvas, rng, x, z)
    elif label == Label.RIDER:
        mount_label = Label.MOTORCYCLE if rng.random() < 0.2 else Label.BICYCLE
        paint_two_wheeler(canvas, rng, mount_label, on_road, z, ridden=True)
    elif label in (Label.BICYCLE, Label.MOTORCYCLE):
        paint_two_wheeler(canvas, rng, label, on_walk, z, ridden=False)
    elif label == Label.VEGETATION:
        paint_tree(canvas, rng, style, side.walk + rng.uniform(-0.8, 1.5) * outwards, z)
    elif label == Label.VOID:
        Cuboid(on_walk - 0.35, on_walk + 0.35, 0, 1.1, z, z + 0.7).paint(
            canvas, rng.uniform(40, 130, 3), Label.VOID
        )
    else:
        carries = None if label == Label.POLE else label
        paint_pole(canvas, rng, style, at_curb, z, carries)
