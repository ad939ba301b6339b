"""Cars, trucks, buses and trams, including ambiguous models."""

import numpy as np

from .canvas import Canvas, Colour
from .cuboid import Cuboid
from .labels import Label
from .materials import CityStyle, car_colour

_GLASS = (38, 44, 52)
_TYRE = (24, 24, 26)

# Vans look alike but have one of three labels, so a calibrated network cannot be confident about
# them.
_VAN_LABELS = (Label.CAR, Label.TRUCK, Label.BUS)
_VAN_SHARES = (0.55, 0.3, 0.15)
_VAN_AMONG_CARS = 0.12
_VAN_AMONG_BIG = 0.35
# Share of trams that look like a bus, and vice versa.
_LOOKALIKE = 0.25


def paint_vehicle(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, label: int, x: float, z: float
) -> None:
    """Paint a vehicle whose near end stands at (x, z).

    Args:
        canvas: Where to paint.
        rng: Draws size, colour and model.
        style: Colours of the city.
        label: ``Label.CAR``, ``TRUCK``, ``BUS`` or ``TRAIN``.
        x: Lateral position of the middle in metres.
        z: Distance of the near end in metres.
    """
    if label == Label.CAR:
        if rng.random() < _VAN_AMONG_CARS:
            _van(canvas, rng, style, int(rng.choice(_VAN_LABELS, p=_VAN_SHARES)), x, z)
        else:
            _car(canvas, rng, x, z)
        return
    if label in (Label.TRUCK, Label.BUS) and rng.random() < _VAN_AMONG_BIG:
        _van(canvas, rng, style, label, x, z)
        return
    model = label
    if label in (Label.BUS, Label.TRAIN) and rng.random() < _LOOKALIKE:
        model = Label.BUS if label == Label.TRAIN else Label.TRAIN
    colour = style.colour(rng, "box_vehicle")
    if model == Label.TRUCK:
        _truck(canvas, rng, colour, label, x, z)
    else:
        _coach(canvas, rng, colour, label, x, z, tram=model == Label.TRAIN)


def _shadow(canvas: Canvas, x: float, z: float, width: float, length: float) -> None:
    """Darken the ground underneath without changing its label."""
    half = width / 2 + 0.15
    canvas.polygon(
        [(x - half, 0, z - 0.3), (x + half, 0, z - 0.3), (x + half, 0, z + length),
         (x - half, 0, z + length)], (45, 45, 48), None,
    )  # fmt: skip


def _wheels(canvas: Canvas, box: Cuboid, label: int, axles: tuple[float, ...]) -> None:
    """Paint the wheels under the near end and along the visible side."""
    for left in (0.04, 0.78):
        x0 = box.x0 + left * (box.x1 - box.x0)
        canvas.polygon([(x0, 0, box.z0), (x0 + 0.3, 0, box.z0), (x0 + 0.3, box.y0, box.z0),
                        (x0, box.y0, box.z0)], _TYRE, label)  # fmt: skip
    side = box.visible_side
    if side is None:
        return
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    for axle in axles:
        z = box.z0 + axle * (box.z1 - box.z0)
        rim = [(side, 0.33 + 0.33 * np.sin(a), z + 0.33 * np.cos(a)) for a in angles]
        canvas.polygon(rim, _TYRE, label)


def _lights(canvas: Canvas, rng: np.random.Generator, box: Cuboid, low: float, high: float) -> None:
    """Paint tail lights or, on a vehicle that comes towards the camera, head lights."""
    colour: Colour = (190, 30, 28) if rng.random() < 0.6 else (235, 230, 205)
    for left, right in ((0.03, 0.17), (0.83, 0.97)):
        canvas.polygon(box.near_quad(left, right, low, high), colour, None)


def _car(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    width, length, height = rng.normal(1.78, 0.06), rng.uniform(3.6, 4.8), rng.uniform(1.4, 1.65)
    colour = car_colour(rng)
    box = Cuboid(x - width / 2, x + width / 2, 0.26, 0.56 * height, z, z + length)
    cabin = box.inset(0.14, rng.uniform(0.15, 0.7), 1.1, 0.56 * height, height)
    _shadow(canvas, x, z, width, length)
    cabin.paint(canvas, colour, Label.CAR)
    cabin.paint_side(canvas, (0.08, 0.92, 0.1, 0.85), _GLASS, None)
    canvas.polygon(cabin.near_quad(0.08, 0.92, 0.12, 0.85), _GLASS, None)
    box.paint(canvas, colour, Label.CAR)
    _lights(canvas, rng, box, 0.5, 0.85)
    _wheels(canvas, box, Label.CAR, (0.18, 0.8))


def _van(
    canvas: Canvas, rng: np.random.Generator, style: CityStyle, label: int, x: float, z: float
) -> None:
    width, length, height = rng.normal(1.95, 0.05), rng.uniform(4.6, 5.8), rng.uniform(1.95, 2.6)
    colour = style.colour(rng, "box_vehicle")
    box = Cuboid(x - width / 2, x + width / 2, 0.28, height, z, z + length)
    _shadow(canvas, x, z, width, length)
    box.paint(canvas, colour, label)
    canvas.polygon(box.near_quad(0.1, 0.9, 0.55, 0.88), _GLASS, None)
    for near, far in ((0.06, 0.3), (0.36, 0.6), (0.66, 0.92))[: rng.integers(1, 4)]:
        box.paint_side(canvas, (near, far, 0.55, 0.85), _GLASS, None)
    _lights(canvas, rng, box, 0.1, 0.3)
    _wheels(canvas, box, label, (0.16, 0.82))


def _truck(
    canvas: Canvas, rng: np.random.Generator, colour: Colour, label: int, x: float, z: float
) -> None:
    length, height = rng.uniform(6, 9), rng.uniform(2.7, 3.7)
    box = Cuboid(x - 1.2, x + 1.2, 0.75, height, z, z + length)
    cab = box.inset(0.05, length * 0.8, -0.2, 0.5, height * 0.82)
    _shadow(canvas, x, z, 2.4, length)
    cab.paint(canvas, car_colour(rng), label)
    box.paint(canvas, colour, label)
    chassis = box.inset(0.1, 0.05, 0.1, 0.4, 0.75)
    chassis.paint(canvas, (48, 48, 50), label)
    canvas.polygon(box.near_quad(0.49, 0.51, 0.02, 0.98), [0.7 * c for c in colour], None)
    _lights(canvas, rng, chassis, 0.2, 0.9)
    _wheels(canvas, chassis, label, (0.12, 0.25, 0.86))


def _coach(
    canvas: Canvas, rng: np.random.Generator, colour: Colour, label: int, x: float, z: float,
    tram: bool,
) -> None:  # fmt: skip
    """Paint a bus or, longer, higher and without visible wheels, a tram."""
    length = rng.uniform(20, 30) if tram else rng.uniform(10, 13)
    height = rng.uniform(3.3, 3.7) if tram else rng.uniform(2.8, 3.2)
    box = Cuboid(x - 1.25, x + 1.25, 0.2 if tram else 0.35, height, z, z + length)
    _shadow(canvas, x, z, 2.5, length)
    box.paint(canvas, colour, label)
    stripe = [0.55 * c for c in colour]
    panes = 8 if tram else 5
    for pane in range(panes):
        box.paint_side(
            canvas, ((pane + 0.08) / panes, (pane + 0.92) / panes, 0.45, 0.82), _GLASS, None
        )
    box.paint_side(canvas, (0, 1, 0.02, 0.12), stripe, None)
    canvas.polygon(box.near_quad(0.08, 0.92, 0.42, 0.84), _GLASS, None)
    canvas.polygon(box.near_quad(0.3, 0.7, 0.88, 0.96), (225, 170, 60), None)
    _lights(canvas, rng, box, 0.1, 0.2)
    if not tram:
        _wheels(canvas, box, label, (0.2, 0.8))
