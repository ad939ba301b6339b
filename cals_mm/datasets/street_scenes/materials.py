"""Colours of the demo scenes, drawn so that neighbouring classes overlap."""

from dataclasses import dataclass

import numpy as np

# Mean colour (RGB) and standard deviation of brightness and of hue for each material. Materials
# that are easily confused are similar on purpose, so that colour alone does not distinguish them:
# road and sidewalk, building, wall and fence, vegetation and terrain, truck, bus and train.
_MATERIALS: dict[str, tuple[tuple[float, float, float], float, float]] = {
    "road": ((100, 98, 102), 14, 4),
    "sidewalk": ((122, 116, 114), 16, 6),
    "parking": ((111, 107, 108), 14, 5),
    "facade": ((132, 120, 108), 30, 14),
    "wall": ((126, 116, 108), 24, 9),
    "fence": ((104, 102, 92), 24, 10),
    "vegetation": ((66, 88, 52), 15, 9),
    "terrain": ((98, 112, 66), 18, 12),
    "pole": ((96, 97, 98), 18, 4),
    "box_vehicle": ((150, 142, 128), 46, 26),
}
_CAR_COLOURS = np.array(
    [(30, 30, 34), (215, 215, 215), (120, 122, 126), (165, 167, 170), (138, 28, 30),
     (36, 56, 110), (60, 62, 66), (110, 96, 78)]
)  # fmt: skip


@dataclass(frozen=True)
class CityStyle:
    """What the images of one city have in common.

    Args:
        shift: Offset (3,) per material, RGB.
        building_density: Probability that a plot of the roadside carries a building.
        tree_density: Trees per side.
        traffic: Factor on the number of cars.
        footfall: Factor on the number of persons.
    """

    shift: dict[str, np.ndarray]
    building_density: float
    tree_density: float
    traffic: float
    footfall: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "CityStyle":
        """Draw the style of a city."""
        return cls(
            shift={name: rng.normal(0, 5, 3) for name in _MATERIALS},
            building_density=rng.uniform(0.7, 0.92),
            tree_density=rng.uniform(1.5, 4.0),
            traffic=rng.uniform(0.7, 1.4),
            footfall=rng.uniform(0.6, 1.5),
        )

    def colour(self, rng: np.random.Generator, material: str) -> np.ndarray:
        """Draw the colour (3,) of one object of a material."""
        mean, brightness, hue = _MATERIALS[material]
        offset = rng.normal(0, brightness) + rng.normal(0, hue, 3)
        array: np.ndarray = np.clip(np.asarray(mean) + self.shift[material] + offset, 12, 245)
        return array


def car_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw the paint (3,) of a car."""
    paint = _CAR_COLOURS[rng.integers(len(_CAR_COLOURS))]
    varied: np.ndarray = np.clip(paint + rng.normal(0, 8, 3), 8, 250)
    return varied


def clothing_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw the colour (3,) of a garment: mostly dark, sometimes bright."""
    if rng.random() < 0.7:
        return rng.uniform(20, 95) + rng.normal(0, 10, 3)
    return rng.uniform(50, 220, 3)
